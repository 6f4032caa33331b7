"""Whom a stop and a crash find without looking at every process: children, runaways, strangers of other apps."""

from __future__ import annotations

import os
import signal

import pytest

from capabilities import DEADLINE, needs_linux
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]

RUNAWAY = """
import os, sys, time
# A grandchild, and one that ran away into a session of its own (with or without the mark in its environment).
clean = "clean" in sys.argv
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        env = {} if clean else os.environ
        os.execve("/bin/sleep", ["sleep", "1000"], env)
    os._exit(0)
os.wait()
if os.fork() == 0:
    os.execv("/bin/sleep", ["sleep", "1001"])
print("ready", flush=True)
time.sleep(1000)
"""


def sleeps(rook):
    """What sleeps below the keeper: {pid: its last argument}."""
    keeper = rook.ping()["keeper_pid"]
    table = {process.pid: process for process in kernel.processes()}
    return {
        process.pid: kernel.command_line(process.pid)[-1]
        for process in table.values()
        if process.name == "sleep"
        and (process.ppid == keeper or (process.ppid in table and table[process.ppid].ppid == keeper))
    }


@pytest.fixture
def app(rook, tmp_path):
    program = tmp_path / "runaway.py"
    program.write_text(RUNAWAY)

    def start(name, *args):
        rook.ok("start", program, "--name", name, "--wait", "started", "--", *args)
        wait_until(lambda: rook.log(name), DEADLINE, "its children")
        return rook.row(name)["pid"]

    return start


@pytest.mark.parametrize("args", [(), ("clean",)], ids=["marked", "unmarked"])
def test_stop_takes_all_of_it_and_nobody_elses(rook, app, args):
    app("other", *args)
    others = sleeps(rook)
    app("web", *args)
    assert len(sleeps(rook)) == len(others) + 2
    rook.ok("stop", "web")
    left = sleeps(rook)
    # Without a mark, in a session of his own, with his parent gone before we ever looked: nobody can tell whose he is.
    assert {pid: name for pid, name in left.items() if name == "1001"} == {
        pid: name for pid, name in others.items() if name == "1001"
    }
    if not args:
        assert left == others
    for pid in set(left) - set(others):
        os.kill(pid, signal.SIGKILL)
    rook.ok("stop", "other")
    for pid in sleeps(rook):
        os.kill(pid, signal.SIGKILL)


def test_a_crash_leaves_nothing_behind(rook, app):
    app("other")
    others = sleeps(rook)
    pid = app("web")
    before = set(sleeps(rook)) - set(others)
    rook.kill(pid)
    wait_until(lambda: rook.row("web")["pid"] not in (None, pid), DEADLINE, "the next copy")
    assert not before & set(sleeps(rook))
    assert set(others) <= set(sleeps(rook))


def test_it_is_so_after_the_collector_was_started_again(rook, app):
    pid = app("web")
    rook.kill(rook.ping()["collector_pid"])
    before = set(sleeps(rook))
    rook.kill(pid)
    wait_until(lambda: rook.row("web")["pid"] not in (None, pid), DEADLINE, "the next copy")
    assert not before & set(sleeps(rook))
