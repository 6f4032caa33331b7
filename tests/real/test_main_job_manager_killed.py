"""The manager is killed: nobody notices, and the next one goes on."""

from __future__ import annotations

import time

import pytest
from serving import Load, port_of

from capabilities import DEADLINE, needs_node
from rookery.testing import wait_until

pytestmark = pytest.mark.real


def lines_without_gap(lines):
    """Assert that lines are 0, 1, 2 ... and the last one tells their number; return the number."""
    *numbers, last = lines
    assert last == f"all {len(numbers)}"
    assert numbers == [str(number) for number in range(len(numbers))]
    return len(numbers)


@pytest.mark.parametrize("server", ["web.py", pytest.param("web.js", marks=needs_node)])
def test_same_pids_no_failed_request_no_lost_line(rook, server, tmp_path):
    counter = rook.start("count_lines.py", "counter")
    web = rook.start(server, "web", tmp_path / "port")
    with Load(port_of(tmp_path / "port")) as load:
        wait_until(lambda: load.count > 30, DEADLINE, "some requests")
        wait_until(lambda: len(rook.log("counter")) > 200, DEADLINE, "some lines")
        old = rook.kill_manager()
        killed = time.monotonic()
        new = rook.next_manager(old)
        back = time.monotonic() - killed
        asked, written = load.count, len(rook.log("counter"))
        wait_until(lambda: load.count > asked + 30, DEADLINE, "more requests")
        wait_until(lambda: len(rook.log("counter")) > written + 200, DEADLINE, "more lines")
    print(f"the next manager answered after {back * 1000:.0f} ms")
    assert back < DEADLINE / 2, f"the next manager took {back:.3f} s"
    assert load.failures == []
    assert load.pids == {web["pid"]}
    assert [row["pid"] for row in rook.rows()] == [counter["pid"], web["pid"]]
    assert [row["restarts"] for row in rook.rows()] == [0, 0]
    assert new["epoch"] == 2
    rook.ok("stop", "counter")
    assert lines_without_gap(rook.log("counter")) > 400


def test_the_next_manager_restarts_what_falls(rook):
    first = rook.start("idle.py", "idle")
    rook.next_manager(rook.kill_manager())
    rook.kill(first["pid"])
    second = rook.wait_for("idle", restarts=1, state="running")
    assert second["pid"] != first["pid"]
    assert (second["exit"]["signal"], second["exit"]["reason"]) == ("SIGKILL", "killed by SIGKILL")


def test_what_falls_while_there_is_no_manager_is_seen_exactly(rook):
    app = rook.start("idle.py", "idle", options=["--restart", "never"])
    manager = rook.ping()["pid"]
    rook.kill(manager, 19)  # SIGSTOP: it cannot take note
    rook.kill(app["pid"])
    rook.kill(manager)
    rook.next_manager(manager)
    row = rook.wait_for("idle", state="exited")
    assert row["exit"]["signal"] == "SIGKILL"


def test_a_command_that_comes_while_managers_change_waits(rook):
    rook.start("idle.py", "idle")
    old = rook.ping()["pid"]
    rook.kill(old)
    assert rook.json("list")[0]["state"] == "running"
    assert rook.json("ping")["pid"] != old


def test_sigterm_to_the_manager_lets_requests_finish_and_apps_run(rook):
    app = rook.start("idle.py", "idle")
    old = rook.ping()["pid"]
    with rook.popen("start", rook.programs / "idle.sh", "--name", "late") as starting:
        wait_until(lambda: rook.rows("late"), DEADLINE, "the request in the manager")
        rook.kill(old, 15)
        out, err = starting.communicate(timeout=DEADLINE)
    assert (starting.returncode, err.count("cut")) == (0, 0), (out, err)
    rook.next_manager(old)
    assert rook.row("idle")["pid"] == app["pid"]
    assert rook.row("late")["state"] == "running"
