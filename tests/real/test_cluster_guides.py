"""The guides show the examples as they are, and what they say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from clusters import get, until

from capabilities import DEADLINE
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(4 * DEADLINE)]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "cluster"
GUIDES = "".join(
    (ROOT / "docs" / "guides" / f"{name}.md").read_text()
    for name in ("asgi-on-all-cores", "rolling-deploy", "socket-server")
)
SHOWN = dict(re.findall(r"`examples/cluster/([^`]+)`:\n\n```\w+\n(.*?)```", GUIDES, re.DOTALL))
SAID = re.findall(r"```console\n\$ python examples/cluster/(\S+)\n(.*?)```", GUIDES, re.DOTALL)


@contextlib.contextmanager
def leaving_nothing():
    """What was started ends with its guardian, which comes to us."""
    ours = set(kernel.children(os.getpid()))
    yield

    def has_gone():
        return all(os.waitpid(pid, os.WNOHANG)[0] for pid in set(kernel.children(os.getpid())) - ours)

    wait_until(has_gone, DEADLINE, "the end of all that it started")


def test_the_guides_show_every_example_as_it_is():
    there = {path.name: path.read_text() for path in EXAMPLES.iterdir() if path.is_file()}
    assert there == SHOWN
    assert len(SAID) == 4


@pytest.mark.parametrize(("name", "promised"), [pytest.param(*row, id=row[0]) for row in SAID])
def test_what_they_say(name, promised, tmp_path):
    with leaving_nothing():
        command = [sys.executable, EXAMPLES / name]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3 * DEADLINE, check=False)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout == promised
        assert ("no such table" in ran.stderr) if name == "deploy.py" else ran.stderr == ""


async def test_the_server_of_the_guide(tmp_path):
    path = tmp_path / "shop.sock"
    with leaving_nothing():
        command = [sys.executable, str(EXAMPLES / "serve.py"), f"unix:{path}"]
        server = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
        try:
            said = []

            async def line(word):
                async with asyncio.timeout(DEADLINE):
                    while word not in (text := (await server.stderr.readline()).decode()):
                        said.append(text)
                        assert text, said

            await line("worker ready")
            await until(path.is_socket, "the socket")
            assert b"version 1" in (await get(f"unix:{path}"))[1]
            server.send_signal(signal.SIGHUP)
            await line("reload done")
            assert (await get(f"unix:{path}"))[0] == 200
            server.send_signal(signal.SIGTERM)
            _, rest = await asyncio.wait_for(server.communicate(), DEADLINE)
            assert server.returncode == 0, rest
        finally:
            if server.returncode is None:
                server.kill()
                await server.wait()
