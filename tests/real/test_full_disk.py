"""The home lies on a file system of 1 MB, in a mount namespace of its own, which fills up."""

from __future__ import annotations

import errno
import json
import subprocess
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_linux, needs_root, needs_unshare
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux, needs_root, needs_unshare]


class Small:
    """The small file system on a folder: commands run within, and its files can be reached from here."""

    def __init__(self, folder, holder):
        self.within = ["nsenter", f"--mount=/proc/{holder}/ns/mnt", "--"]
        self.home = Path(f"/proc/{holder}/root{folder}")

    def state(self):
        return json.loads((self.home / "state.json").read_text())

    def fill(self):
        try:
            with open(self.home / "fill", "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - how many writes it takes is not known


@pytest.fixture
def small(rook, monkeypatch):
    """The home of ``rook`` is small from now on, and its commands run where that can be seen."""
    home = Path(rook.home)
    home.mkdir(mode=0o700)
    script = f"mount -t tmpfs -o size=1m,mode=700 none {home} && echo ready && exec sleep 1000"
    with subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "ready\n"
            found = Small(home, holder.pid)

            def popen(*args, **options):
                command = [*found.within, f"{rook.environ['PATH'].split(':')[0]}/rook", *map(str, args)]
                options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
                return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=rook.environ, cwd=rook.folder, **options)

            monkeypatch.setattr(rook, "popen", popen)
            yield found
            rook("kill")
        finally:
            holder.kill()


def test_what_is_done_while_nothing_can_be_saved_is_saved_later(rook, small):
    def start(name):
        rook.ok("start", rook.programs / "idle.py", "--name", name, "--wait", "started", "--", rook.home)

    def states():
        return {row["name"]: row["state"] for row in rook.json("list")}

    def saved():
        return {one["app"]: one["desired"] for one in small.state()["instances"]}

    start("before")
    wait_until(lambda: small.state()["instances"][0]["pid"], DEADLINE, "its pid in the state")
    small.fill()
    before = small.state()
    start("meanwhile")
    rook.ok("stop", "before")
    assert states() == {"before": "stopped", "meanwhile": "running"}
    assert small.state() == before  # what was saved last is whole
    listed = rook("list")
    assert listed.code == 0
    assert "warning: the state cannot be saved" in listed.err
    assert "No space left on device" in listed.err

    (small.home / "fill").unlink()
    wait_until(lambda: saved() == {"before": "stopped", "meanwhile": "running"}, DEADLINE, "all of it in the state")
    assert rook("list").err == ""
    rook.ok("stop", "all")
    assert states() == {"before": "stopped", "meanwhile": "stopped"}
