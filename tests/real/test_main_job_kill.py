"""``rook kill`` leaves nothing, and nothing comes back by itself."""

from __future__ import annotations

import os

import pytest

from capabilities import DEADLINE
from rookery.testing import wait_until

pytestmark = pytest.mark.real


def assert_nothing_is_left(rook, run):
    assert rook.processes() == {}
    assert not os.path.lexists(run)
    assert not os.path.lexists(os.path.join(rook.home, "run"))
    assert rook.ping() is None


def test_kill_leaves_nothing_and_nothing_comes_back(rook, tmp_path):
    rook.start("escapes.py", "escapes", "stays", tmp_path / "pid")
    rook.start("idle.py", "idle")
    rook.start("idle.py", "stopped")
    rook.ok("stop", "stopped")
    wait_until((tmp_path / "pid").exists, DEADLINE, "the grandchild")
    run = rook.run_folder
    out = rook.ok("kill")
    assert "idle:0  stopped" in out
    assert_nothing_is_left(rook, run)

    assert rook.json("list") == []
    assert rook.processes() == {}

    rook.start("idle.py", "other")
    states = {"escapes": "stopped", "idle": "stopped", "other": "running", "stopped": "stopped"}
    assert {row["name"]: row["state"] for row in rook.rows()} == states
    rook.next_manager(rook.kill_manager())
    assert {row["name"]: row["state"] for row in rook.rows()} == states

    rook.ok("start", "idle", "--wait", "started")
    assert rook.row("idle")["state"] == "running"
    rook.next_manager(rook.kill_manager())
    assert {row["name"]: row["state"] for row in rook.rows()} == {**states, "idle": "running"}


def test_kill_while_a_restart_is_running(rook):
    rook.start("ignores_term.py", "deaf", options=["--graceful-timeout", "500ms"])
    wait_until(lambda: rook.log("deaf"), DEADLINE, "the program")
    run = rook.run_folder
    with rook.popen("restart", "deaf") as restarting:
        rook.wait_for("deaf", state="stopping")
        rook.ok("kill")
        restarting.communicate(timeout=DEADLINE)
    assert_nothing_is_left(rook, run)


def test_two_kills_at_once_are_one(rook):
    rook.start("ignores_term.py", "deaf", options=["--graceful-timeout", "500ms"])
    wait_until(lambda: rook.log("deaf"), DEADLINE, "the program")
    run = rook.run_folder
    with rook.popen("kill") as first:
        rook.wait_for("deaf", state="stopping")
        refused = rook("start", rook.programs / "idle.py")
        with rook.popen("kill") as second:
            said = [first.communicate(timeout=DEADLINE), second.communicate(timeout=DEADLINE)]
    assert (first.returncode, second.returncode) == (0, 0), said
    assert refused.code == 1
    assert "on its way out" in refused.err
    assert_nothing_is_left(rook, run)


def test_the_next_manager_goes_on_with_a_kill(rook):
    rook.start("ignores_term.py", "deaf", options=["--graceful-timeout", "500ms"])
    rook.start("idle.py", "idle")
    wait_until(lambda: rook.log("deaf"), DEADLINE, "the program")
    run = rook.run_folder
    with rook.popen("kill") as killing:
        rook.wait_for("deaf", state="stopping")
        rook.kill_manager()
        out, err = killing.communicate(timeout=DEADLINE)
    assert killing.returncode == 0, (out, err)
    assert_nothing_is_left(rook, run)


def test_sigterm_to_the_keeper_ends_everything(rook):
    rook.start("idle.py", "idle")
    run = rook.run_folder
    rook.kill(rook.ping()["keeper_pid"], 15)
    wait_until(lambda: not rook.processes(), DEADLINE, "the end of all")
    assert_nothing_is_left(rook, run)


def test_a_home_that_is_removed_can_be_used_again(rook):
    import shutil

    rook.start("idle.py", "idle")
    rook.ok("kill")
    shutil.rmtree(rook.home)
    rook.start("idle.py", "idle")
    assert rook.row("idle")["id"] == 0
