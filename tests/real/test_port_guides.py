"""What the guides say under "Under the manager" happens, command by command."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_node

pytestmark = [pytest.mark.real, pytest.mark.timeout(4 * DEADLINE)]

ROOT = Path(__file__).parents[2]
GUIDES = {
    "asgi-on-all-cores": "cluster",
    "rolling-deploy": "cluster",
    "socket-server": "cluster",
    "node-cluster": "node-cluster",
}
"""Where the examples of each are."""
CURL = f"""#!{sys.executable}
import sys, urllib.request
print(urllib.request.urlopen("http://" + sys.argv[-1], timeout=10).read().decode().rstrip())
"""
NC = f"""#!{sys.executable}
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as client:
    client.sendall(sys.stdin.buffer.read())
    client.shutdown(socket.SHUT_WR)
    while piece := client.recv(4096):
        sys.stdout.write(piece.decode())
"""
PLACE = r"127\.0\.0\.1[: ]\d+"


def section(guide):
    text = (ROOT / "docs" / "guides" / f"{guide}.md").read_text()
    return re.search(r"(?ms)^## Under the manager$(.*?)(?=^## )", text)[1]


def conversation(guide):
    """(command, what it says), in order."""
    (block,) = re.findall(r"```console\n(.*?)```", section(guide), re.DOTALL)
    parts = re.split(r"(?m)^\$ (.*)\n", block)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def blurred(text):
    """Without what is different each time: numbers (or none yet, ``-``) and blanks."""
    text = re.sub(r"\d[\d.]*(?:ms|[smhKMGB%])*|(?<= )-(?= )", "N", text)
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]


def says(said, promised):
    """Whether it says what was promised; ``...`` is any number of lines."""
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in blurred(promised))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in blurred(said)))


class Shell:
    """Runs commands as they stand in the guide, at ports that are free here."""

    def __init__(self, rook, folder):
        self._rook = rook
        self._folder = folder
        self._places = {}
        self._new = []

    def __call__(self, command):
        named = [one.replace(" ", ":") for one in re.findall(PLACE, command)]
        if command.startswith("rook start"):
            self._new = [one for one in named if one not in self._places] or self._new
            command = re.sub(PLACE, "127.0.0.1:0", command)
        for guide, real in self._places.items():
            command = command.replace(guide, real).replace(guide.replace(":", " "), real.replace(":", " "))
        ran = subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=self._folder,
            env=self._rook.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * DEADLINE,
            check=False,
        )
        if command.startswith("rook start") and self._new:
            newest = max(self._rook.rows(), key=lambda row: row["id"])
            self._places[self._new.pop()] = newest["bind"]
        return ran.stdout.removeprefix("starting the manager\n")

    def expect_in(self, file):
        """Have a file of the guide listen at a free port."""
        text = file.read_text()
        self._new = re.findall(PLACE, text)
        file.write_text(re.sub(PLACE, "127.0.0.1:0", text))


@pytest.mark.parametrize("guide", [pytest.param(one, marks=needs_node if "node" in one else ()) for one in GUIDES])
def test_what_the_guide_says(rook, guide):
    folder = rook.folder / "work"
    shutil.copytree(ROOT / "examples" / GUIDES[guide], folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in {"curl": CURL, "nc": NC}.items():
        path = rook.folder / "path" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    rook.environ["PATH"] = f"{rook.folder}/path:{rook.environ['PATH']}"
    shell = Shell(rook, folder)
    if guide == "rolling-deploy":
        shell.expect_in(folder / "rook.toml")
    for command, promised in conversation(guide):
        said = shell(command)
        assert says(said, promised), f"$ {command}\n{said}\ninstead of\n{promised}"


def test_what_is_blurred_still_differs():
    assert says("a:0  started  pid 9\nx\ny\nb 1.5s\n", "a:0 started pid 8000\n...\nb 200ms\n")
    assert not says("a:0  failed  pid 9\n", "a:0 started pid 9\n")
    assert not says("a\nb\n", "a\n")
