"""Stopping: nothing is left, nobody is waited for for ever, and every end says why."""

from __future__ import annotations

import os
import time

import pytest

from capabilities import DEADLINE, needs_linux
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = pytest.mark.real


def escaped(path):
    pid = wait_until(lambda: path.exists() and int(path.read_text()), DEADLINE, "the grandchild")
    started = kernel.start_time(pid)
    return lambda: kernel.is_alive(pid, started)


# What no mark can find, and no test claims: an emptied environment and a session of its own and parents that are gone,
# all at once. Only a cgroup could hold that.
@needs_linux
@pytest.mark.parametrize("how", ["stays", "bare-session", "bare-child"])
def test_a_grandchild_that_ran_away_is_stopped_too(rook, tmp_path, how):
    rook.start("escapes.py", "app", how, tmp_path / "pid")
    is_alive = escaped(tmp_path / "pid")
    assert is_alive()
    rook.ok("stop", "app")
    assert not is_alive()


@needs_linux
def test_a_grandchild_whose_parent_ended_by_itself_is_swept(rook, tmp_path):
    rook.start("escapes.py", "app", "leaves", tmp_path / "pid", options=["--restart", "never"])
    is_alive = escaped(tmp_path / "pid")
    row = rook.wait_for("app", state="exited")
    assert not is_alive()
    assert row["exit"]["reason"] == "exited with code 0, left 1 behind"


def test_who_ignores_sigterm_is_gone_after_his_grace(rook):
    app = rook.start("ignores_term.py", "deaf", options=["--graceful-timeout", "300ms"])
    wait_until(lambda: rook.log("deaf"), DEADLINE, "the program")
    began = time.monotonic()
    out = rook.ok("stop", "deaf")
    assert time.monotonic() - began > 0.3
    assert "it had to be killed" in out
    assert not kernel.is_alive(app["pid"])
    assert rook.row("deaf")["state"] == "stopped"


def test_who_ends_at_once_is_held_back_and_says_why(rook):
    ran = rook("start", rook.programs / "ends_at_once.py", "--name", "brief", "--", "3")
    assert ran.code == 1
    assert "brief:0  failed: exited with code 3" in ran.out
    assert "before the end\n    cannot open the database" in ran.out
    row = wait_until(lambda: (row := rook.row("brief"))["restarts"] >= 3 and row, DEADLINE, "three restarts")
    assert row["exit"]["code"] == 3
    assert row["exit"]["stderr"] == ["before the end", "cannot open the database"]
    listed = rook("list")
    assert "cannot open" not in listed.out
    shown = rook.ok("show", "brief")
    assert "exited with code 3" in shown
    assert "cannot open the database" in shown
    # Held back: at 20 restarts the waits would sum up to minutes; without a backoff there would be hundreds by now.
    assert rook.row("brief")["restarts"] < 20


def test_what_cannot_be_started_is_fatal_and_says_why(rook, tmp_path):
    program = tmp_path / "gone"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    rook.ok("start", program, "--wait", "started")
    program.unlink()
    ran = rook("restart", "gone")
    assert ran.code == 1
    assert "no such command" in ran.out
    assert rook.row("gone")["state"] == "fatal"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    rook.ok("start", "gone", "--wait", "started")
    assert rook.row("gone")["state"] == "running"


def test_a_missing_log_folder_is_made_again(rook):
    rook.start("count_lines.py", "counter", "0.02")
    wait_until(lambda: rook.log("counter"), DEADLINE, "the first line")
    logs = os.path.join(rook.home, "logs")
    for name in os.listdir(logs):
        os.unlink(os.path.join(logs, name))
    os.rmdir(logs)
    wait_until(lambda: len(rook.log("counter")) > 5, DEADLINE, "lines in a new file")
    rook.ok("restart", "counter", "--wait", "started")
    assert rook.row("counter")["state"] == "running"
