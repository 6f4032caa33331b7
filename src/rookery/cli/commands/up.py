"""``rook up``: apps in the foreground, without a manager; for containers and for looking."""

from __future__ import annotations

import os
import sys

import msgspec

from rookery.cli.output import is_coloured
from rookery.cli.prefixes import prefixes
from rookery.cli.start_options import parse
from rookery.cli.start_target import described
from rookery.config.environment import base_environment
from rookery.control import places

_CODE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from rookery.daemon.up.main import main; main()"


def run(argv: list[str]) -> int:
    """See ``rook up --help``. Becomes another program; its exit code is the apps'."""
    call = parse(argv, is_foreground=True)
    specs = described(call, cwd=os.getcwd())
    colours = is_coloured(sys.stdout, call.color), is_coloured(sys.stderr, call.color)
    # In a container everything of the environment is meant for the app.
    request = {
        "specs": [msgspec.to_builtins(spec) for spec in specs],
        "base_env": base_environment(os.environ, inherit_all=True),
        "prefixes": prefixes(specs, colours) if call.prefix else {},
    }
    _fill_standard()
    reading, writing = os.pipe() if not hasattr(os, "memfd_create") else (os.memfd_create("rook-up", 0), -1)
    data = msgspec.json.encode(request)
    if writing >= 0:
        os.write(writing, data)
        os.close(writing)
    else:
        os.write(reading, data)
        os.lseek(reading, 0, os.SEEK_SET)
    os.set_inheritable(reading, True)
    arguments = [sys.executable, "-I", "-c", _CODE, places.package_root(), "rook-up", str(reading)]
    sys.stdout.flush()
    os.execv(sys.executable, arguments)


def _fill_standard() -> None:
    """Have 0, 1 and 2 open: what was closed there must not become something else."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    for fd in range(3):
        os.set_inheritable(fd, True)
