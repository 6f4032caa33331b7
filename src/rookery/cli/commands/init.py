"""``rook init``: a rook.toml for what is in a folder."""

from __future__ import annotations

import os

from rookery._base import atomic
from rookery.cli.output import put, say
from rookery.cli.parser import Parser
from rookery.cli.start_target import DEFAULT_FILE
from rookery.config.discover import Candidate, discover
from rookery.config.template import rook_toml
from rookery.errors import RookeryError, UsageError

_EXAMPLE = Candidate(
    "example",
    {"command": ["/bin/sh", "-c", "while date; do sleep 5; done"]},
    "nobody: put your own program here",
    'or: script = "app.py", or: module = "pkg.main"',
)


def run(argv: list[str]) -> int:
    """See ``rook init --help``. Raises UsageError for what is no folder, RookeryError where the file is there."""
    parser = Parser(
        "init",
        "Write a rook.toml, with comments, for the programs in a folder: Python scripts and projects, web "
        "applications, Node projects. Never overwrites one.",
        (
            "rook init",
            "rook init --print              look, and write nothing",
            "rook init server --force       in another folder, over what is there",
        ),
        words="[FOLDER]",
    )
    parser.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="the folder (default: .)")
    parser.add_argument("--print", dest="show", action="store_true", help="print it and write nothing")
    parser.add_argument("--force", action="store_true", help="overwrite the file that is there")
    options = parser.parse(argv)
    folder = os.path.abspath(options.folder)
    if not os.path.isdir(folder):
        raise UsageError(f"there is no folder {folder}", hint="create it first")
    path = os.path.join(options.folder, DEFAULT_FILE) if options.folder != "." else DEFAULT_FILE
    if not (options.show or options.force) and os.path.lexists(path):
        raise _is_there(path)
    apps = discover(folder)
    text = rook_toml(apps or [_EXAMPLE])
    if options.show:
        put(text.rstrip("\n"))
    else:
        _write(path, text, force=options.force)
    if apps:
        for app in apps:
            say(f"{app.name}: found by {app.why}" + (f" ({app.note})" if app.note else ""))
    else:
        say("nothing here looks like a program: it has an example to replace")
    if not options.show:
        put(f"wrote {path}")
        say("hint: look it over, then: rook check, rook start")
    return 0


def _write(path: str, text: str, *, force: bool) -> None:
    if not force:
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise _is_there(path) from None
        return
    atomic.replace(path, text.encode(), mode=_mode(path))  # what is there may be dear to somebody


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _is_there(path: str) -> RookeryError:
    return RookeryError(
        f"{path} is there already", hint="to write it anew: rook init --force, to look: rook init --print"
    )
