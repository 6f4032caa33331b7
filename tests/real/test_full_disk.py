"""The home lies on a file system of 1 MB, in a mount namespace of its own, which fills up."""

from __future__ import annotations

import errno
import json
import re
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
    # The word that was lost on the full disk is told in its log a moment later than the state is saved.
    wait_until(lambda: rook("list").err == "", DEADLINE, "no warning any more")
    rook.ok("stop", "all")
    assert states() == {"before": "stopped", "meanwhile": "stopped"}


@pytest.mark.parametrize(
    ("on_full", "says"), [("drop", "lines are dropped"), ("block", "it waits")], ids=["drop", "block"]
)
def test_a_log_that_cannot_be_written_is_said_until_it_can_be(rook, small, on_full, says):
    options = ("--logs-on-full", on_full, "--logs-max-size", "64K", "--logs-keep", "0", "--wait", "started")
    rook.ok("start", rook.programs / "count_lines.py", "--name", "count", *options)
    log = small.home / "logs" / "count-0.out.log"
    wait_until(lambda: log.exists() and log.stat().st_size, DEADLINE, "the first lines")
    assert rook("list").err == ""
    small.fill()
    sentence = f"the log of count:0 is not written: No space left on device; {says}"

    def listed():
        small.fill()  # what a rotation has freed
        err = rook("list").err
        return err if sentence in err else None

    wait_until(listed, DEADLINE, sentence)
    rook.kill(rook.json("ping")["pid"])  # the next one knows it too
    wait_until(lambda: sentence in rook("list").err, DEADLINE, "the same from the next manager")
    (small.home / "fill").unlink()
    wait_until(lambda: "is not written" not in rook("list").err, DEADLINE, "no word of it any more")
    told = (small.home / "manager.log").read_text()
    assert ("lines (" in told) if on_full == "drop" else ("nothing was lost" in told)


@pytest.mark.parametrize("on_full", ["drop", "block"])
def test_every_line_is_kept_or_counted(rook, small, on_full):
    """The app is not stopped by it, and whatever is missing is told in the file where it is missing."""
    rook.ok(
        "start", rook.programs / "count_lines.py", "--name", "count", "--logs-on-full", on_full, "--wait", "started"
    )
    pid = rook.json("list")[0]["pid"]
    log = small.home / "logs" / "count-0.out.log"
    for _ in range(2):
        size = wait_until(lambda: log.exists() and log.stat().st_size, DEADLINE, "the first lines")
        small.fill()
        wait_until(lambda: "count:0 is not written" in rook("list").err, DEADLINE, "a full disk")
        (small.home / "fill").unlink()
        wait_until(lambda: "is not written" not in rook("list").err, DEADLINE, "no word of it any more")
        wait_until(lambda size=size: log.stat().st_size > size, DEADLINE, "more lines")
    assert rook.json("list")[0]["pid"] == pid
    rook.ok("stop", "count")
    *lines, total = log.read_text().splitlines()
    kept, told = [], 0
    for line in lines:
        mark = re.fullmatch(r"\[rookery\] (\d+) lines \(\d+ bytes\) were dropped here: No space left on device", line)
        if mark:
            told += int(mark[1])
        elif int(line) == (kept[-1] + 1 if kept else 0) or on_full == "block":
            kept.append(int(line))
        else:  # torn by the full disk and counted with the others, or the first one after the gap
            kept += [int(line)] * (int(line) > kept[-1])
    assert kept == sorted(set(kept))
    # Of a line whose newline alone was lost all is there, and it is counted.
    assert 0 <= len(kept) + told - int(total.removeprefix("all ")) <= 2 * (on_full == "drop")
    assert (told > 0) == (on_full == "drop")
