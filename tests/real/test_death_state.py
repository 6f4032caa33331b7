"""All of ours are dead, and what the state says is not what runs: pids used again, another boot."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_linux
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]


def kill_ours(rook):
    """Keeper and manager; the collector ends with them."""
    old = rook.ping()
    rook.kill(old["keeper_pid"], signal.SIGSTOP)  # it would start the next manager at once
    rook.kill(old["pid"])
    rook.kill(old["keeper_pid"])
    collector = kernel.start_time(old["collector_pid"])
    if collector is not None:
        wait_until(lambda: not kernel.is_alive(old["collector_pid"], collector), DEADLINE, "the end of the collector")


def edit_state(rook, edit):
    path = Path(rook.home, "state.json")
    state = json.loads(path.read_text())
    edit(state)
    path.write_text(json.dumps(state))


@pytest.fixture
def stranger():
    """A process that is none of ours."""
    with subprocess.Popen(["/bin/sleep", "1000"]) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("verb", ["stop", "delete"])
def test_a_pid_that_was_used_again_is_left_alone(rook, stranger, verb):
    app = rook.start("idle.py", "app")
    rook.ok("list")
    kill_ours(rook)
    rook.kill(app["pid"])

    def reuse(state):
        (saved,) = state["instances"]
        assert saved["pid"] == app["pid"]
        saved["pid"] = stranger.pid  # with the start time of the one before

    edit_state(rook, reuse)
    rook.ok("list")
    assert rook.wait_for("app", state="running")["pid"] not in (stranger.pid, app["pid"])
    rook.ok(verb, "app")
    assert stranger.poll() is None


def test_after_a_reboot_everything_is_stopped_until_it_is_asked_for(rook):
    one, other = rook.start("idle.py", "one"), rook.start("idle.py", "other")
    kill_ours(rook)
    edit_state(rook, lambda state: state.update(boot_id="00000000-0000-0000-0000-000000000000"))
    assert rook.json("list") == []
    copies = {pid for pid, command in rook.processes().items() if "idle.py" in command}
    assert copies == {one["pid"], other["pid"]}  # who only looks starts nothing and ends nothing
    rook.ok("start", "one", "--wait", "started")
    row = rook.row("one")
    assert row["state"] == "running"
    assert rook.row("other")["state"] == "stopped"
    copies = {pid for pid, command in rook.processes().items() if "idle.py" in command}
    assert copies == {row["pid"]}  # no state knows the others: no boot has ever brought them
    rook.next_manager(rook.kill_manager())
    assert rook.row("other")["state"] == "stopped"
