"""``rook send``: lines to an app's stdin, through the deaths of those that hold the pipe."""

from __future__ import annotations

import signal

import pytest

from capabilities import DEADLINE, needs_linux
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]

LINE = "x" * 4000


def start(rook, folder):
    return rook.start("says_lines.py", "console", folder / "go", options=["--stdin", "pipe"])


def wait_for_lines(rook, *lines):
    wait_until(lambda: rook.log("console") == list(lines), DEADLINE, "the lines")


@pytest.mark.parametrize("killed", [["keeper_pid"], ["pid"], ["pid", "keeper_pid"]])
def test_what_is_sent_arrives(rook, tmp_path, killed):
    pid = start(rook, tmp_path)["pid"]
    rook.ok("send", "console", "before", LINE)  # nobody reads it yet: it waits in the pipe meanwhile
    old = rook.ping()
    if len(killed) > 1:
        rook.kill(old["keeper_pid"], signal.SIGSTOP)  # it would start the next manager at once
    for name in killed:
        rook.kill(old[name])
    rook.ok("list")
    rook.next_manager(old["pid"])
    rook.ok("send", "console", "after")
    (tmp_path / "go").touch()
    wait_for_lines(rook, f"before {LINE}", "after")
    assert rook.row("console")["pid"] == pid


def test_a_full_pipe_is_an_error_and_no_line_is_torn(rook, tmp_path):
    start(rook, tmp_path)
    lines = []
    while (ran := rook("send", "console", f"{len(lines)} {LINE}")).code == 0:
        lines.append(f"{len(lines)} {LINE}")
        assert len(lines) < 1000
    assert ran.code == 1, ran
    assert "does not read" in ran.err
    assert len(lines) >= 4
    (tmp_path / "go").touch()
    wait_for_lines(rook, *lines)
    rook.ok("send", "console", "room again")
    wait_for_lines(rook, *lines, "room again")


def test_what_cannot_be_sent(rook, tmp_path):
    rook.start("idle.py", "deaf")
    ran = rook("send", "deaf", "hello")
    assert ran.code == 2, ran
    assert 'stdin = "pipe"' in ran.err
    start(rook, tmp_path)
    ran = rook("send", "console", "x" * 4096)  # with its end one too many
    assert ran.code == 2, ran
    assert "4096" in ran.err
    rook.ok("stop", "console")
    assert rook("send", "console", "hello").code == 1
