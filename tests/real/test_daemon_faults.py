"""Keeper, manager and collector are killed, alone and together, at any moment."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_linux
from rookery._os import exits, kernel
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]


def without_gap(lines):
    *numbers, last = lines
    return last == f"all {len(numbers)}" and numbers == [str(number) for number in range(len(numbers))]


def copies(rook, program):
    return [command for command in rook.processes().values() if program in command]


def more_lines(rook, name, count=100):
    there = len(rook.log(name))
    wait_until(lambda: len(rook.log(name)) > there + count, DEADLINE, f"{count} more lines of {name}")


def test_the_collector_is_killed(rook):
    """One writer per file, far from its limit: bytes go by splice, so that none is ever in the collector's hands."""
    app = rook.start("count_lines.py", "counter")
    for _ in range(3):
        more_lines(rook, "counter")
        old = rook.ping()["collector_pid"]
        rook.kill(old)
        wait_until(lambda old=old: rook.ping()["collector_pid"] != old, DEADLINE, "the next collector")
    more_lines(rook, "counter")
    rook.ok("restart", "counter", "--wait", "started")
    first, _, second = "\n".join(rook.log("counter")).partition("\nall ")
    total = second.split("\n")[0]
    assert without_gap([*first.split("\n"), f"all {total}"])
    assert rook.row("counter")["pid"] != app["pid"]


def test_an_app_starts_and_stops_while_there_is_no_collector(rook):
    rook.start("idle.py", "idle")
    collector = rook.ping()["collector_pid"]
    rook.kill(collector)
    rook.start("idle.py", "other")
    rook.kill(wait_until(lambda: rook.ping()["collector_pid"], DEADLINE, "a collector"))
    rook.ok("stop", "other")
    wait_until(lambda: rook.log("other") == ["idle"], DEADLINE, "its output")


def test_keeper_and_manager_are_killed_and_the_next_command_goes_on(rook):
    counter = rook.start("count_lines.py", "counter")
    idle = rook.start("idle.py", "idle")
    more_lines(rook, "counter")
    old = rook.ping()
    rook.kill(old["pid"])  # the keeper starts the next one at once: that goes with the keeper
    rook.kill(old["keeper_pid"])
    for program in ("rookery-manager", "rookery-collector"):
        wait_until(lambda program=program: not copies(rook, program), DEADLINE, f"the end of {program}")

    rows = rook.json("list")
    assert [(row["name"], row["pid"], row["state"]) for row in rows] == [
        ("counter", counter["pid"], "running"),
        ("idle", idle["pid"], "running"),
    ]
    assert rook.ping()["keeper_pid"] != old["keeper_pid"]
    more_lines(rook, "counter")
    rook.ok("stop", "counter")
    assert without_gap(rook.log("counter"))
    rook.kill(idle["pid"])
    again = rook.wait_for("idle", restarts=1, state="running")
    # It is init's child now. Without PIDFD_GET_INFO its status is lost if init is quicker than the keeper.
    told = ["killed by SIGKILL"] if exits.can_tell() else ["killed by SIGKILL", "ended, nobody saw how"]
    assert again["exit"]["reason"] in told
    assert len(copies(rook, "idle.py")) == 1


def test_the_keeper_is_killed_alone(rook):
    idle = rook.start("idle.py", "idle")
    old = rook.ping()
    rook.kill(old["keeper_pid"])
    started = kernel.start_time(old["pid"])
    wait_until(lambda: not kernel.is_alive(old["pid"], started), DEADLINE, "the manager leaves the home to the next")
    new = rook.ping()  # never starts anything: the old manager has brought a keeper, which has brought a manager
    assert new["keeper_pid"] != old["keeper_pid"]
    assert new["epoch"] > old["epoch"]
    assert rook.json("list")[0]["pid"] == idle["pid"]
    rook.kill(idle["pid"])
    assert rook.wait_for("idle", restarts=1, state="running")["exit"]["reason"] == "killed by SIGKILL"


def test_what_ended_while_nobody_was_there_is_started_again(rook):
    idle = rook.start("idle.py", "idle")
    once = rook.start("idle.py", "once", options=["--restart", "never"])
    old = rook.ping()
    for pid in (old["keeper_pid"], old["pid"], idle["pid"], once["pid"]):
        rook.kill(pid)
    rook.json("list")
    assert rook.wait_for("idle", state="running")["pid"] != idle["pid"]
    assert rook.row("once")["state"] == "exited"


def test_what_a_dead_copy_left_behind_is_swept_by_the_next_keeper(rook, tmp_path):
    app = rook.start("escapes.py", "app", "stays", tmp_path / "pid")
    grandchild = wait_until(lambda: (tmp_path / "pid").exists() and int((tmp_path / "pid").read_text()), DEADLINE, "it")
    started = kernel.start_time(grandchild)
    old = rook.ping()
    for pid in (old["keeper_pid"], old["pid"], app["pid"]):
        rook.kill(pid)
    assert kernel.is_alive(grandchild, started)
    rook.json("list")
    assert not kernel.is_alive(grandchild, started)
    rook.wait_for("app", state="running")


def test_a_copy_that_no_state_knows_is_ended(rook):
    stranger = rook.start("idle.py", "stranger")
    rook.start("idle.py", "idle")
    path = Path(rook.home, "state.json")
    state = json.loads(path.read_text())
    state["apps"] = [app for app in state["apps"] if app["name"] == "idle"]
    state["instances"] = [one for one in state["instances"] if one["app"] == "idle"]
    path.write_text(json.dumps(state))  # the manager writes only when something changes
    rook.next_manager(rook.kill_manager())
    assert [row["name"] for row in rook.rows()] == ["idle"]
    assert not kernel.is_alive(stranger["pid"])
    assert "no state knows" in rook.manager_log


def test_a_run_folder_that_vanishes_is_made_again(rook):
    idle = rook.start("idle.py", "idle")
    old = rook.ping()["pid"]
    run = rook.run_folder
    for name in os.listdir(run):
        os.unlink(os.path.join(run, name))
    os.rmdir(run)
    assert rook.next_manager(old)["epoch"] == 2
    assert rook.row("idle")["pid"] == idle["pid"]
    rook.start("idle.py", "other")
    wait_until(lambda: rook.log("other") == ["idle"], DEADLINE, "its output")
    rook.ok("restart", "idle", "--wait", "started")
    wait_until(lambda: rook.log("idle") == ["idle", "idle"], DEADLINE, "its output")


def test_the_link_to_the_run_folder_is_made_again(rook):
    idle = rook.start("idle.py", "idle")
    old = rook.ping()["pid"]
    link = os.path.join(rook.home, "run")
    if not os.path.islink(link):
        return  # where there is no runtime folder it is the folder itself: the test above
    os.unlink(link)
    assert rook.next_manager(old)["epoch"] == 2
    assert rook.row("idle")["pid"] == idle["pid"]


def test_a_home_that_was_made_anew_is_not_written_to(rook):
    """Two sets of ours, of which the first has lost its home: it must not touch the second one's state."""
    old = rook.start("idle.py", "old")
    before = rook.ping()
    os.rename(rook.home, f"{rook.home}.gone")
    started = kernel.start_time(before["pid"])
    new = rook.start("idle.py", "new")
    wait_until(lambda: not kernel.is_alive(before["pid"], started), DEADLINE, "the first manager leaves")
    rook.kill(old["pid"])  # nobody starts it again, and nobody writes that down
    assert [(row["name"], row["pid"]) for row in rook.json("list")] == [("new", new["pid"])]
    assert "old" not in Path(rook.home, "state.json").read_text()
    rook.kill(before["keeper_pid"])
