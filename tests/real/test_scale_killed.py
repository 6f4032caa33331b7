"""The manager is killed while instances go: the next one goes on with what was asked for, and nothing runs twice."""

from __future__ import annotations

import subprocess

import pytest
from serving import Load, port_of

from capabilities import DEADLINE
from rookery.testing import wait_until

pytestmark = pytest.mark.real


def web(rook, folder, *options):
    """What starts four instances that have to be killed within 15 s."""
    words = ("start", rook.programs / "lingers.py", "--name", "web", "--instances", 4, "--graceful-timeout", "15s")
    return (*words, "--wait", "started", *options, "--", folder / "port")


def four(rook, folder):
    """Start them; their pids by index, once they listen."""
    rook.ok(*web(rook, folder))
    for index in range(4):
        port_of(folder / f"port.{index}")
    return {row["index"]: row["pid"] for row in rook.rows("web")}


def end(rook):
    """So that nobody has to wait for them."""
    rook.ok("stop", "web", "--wait", "none")
    for pid in running(rook):
        rook.kill(pid)


@pytest.fixture
def killed(rook):
    """Run a command, kill -9 the manager once these instances have been told to go; wait for the next manager."""

    def act(*words, told):
        caller = rook.popen(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for index in told:
            wait_until(
                lambda index=index: "told" in rook.log("web", index=index), DEADLINE, f"a SIGTERM to web:{index}"
            )
        old = rook.kill_manager()
        assert caller.wait(DEADLINE) == 1
        rook.next_manager(old)

    return act


def running(rook):
    return {pid for pid, command in rook.processes().items() if "lingers.py" in command and "rook" not in command}


def test_scaling_down_under_load(rook, tmp_path, killed):
    before = four(rook, tmp_path)
    with Load(port_of(tmp_path / "port.0")) as load:
        wait_until(lambda: load.count > 10, DEADLINE, "some requests")
        killed("scale", "web", "1", told=(1, 2, 3))
        for index in (1, 2, 3):
            rook.kill(before[index])
        wait_until(lambda: len(rook.rows("web")) == 1, DEADLINE, "the end of the other instances")
        asked = load.count
        wait_until(lambda: load.count > asked + 10, DEADLINE, "more requests")
    assert (load.failures, load.pids) == ([], {before[0]})
    (row,) = rook.rows("web")
    assert (row["index"], row["pid"], row["state"], row["restarts"]) == (0, before[0], "running", 0)
    assert running(rook) == {before[0]}
    rook.ok("scale", "web", "2", "--wait", "started")
    assert [row["index"] for row in rook.rows("web")] == [0, 1]
    rook.kill(before[0])
    wait_until(lambda: all(one["pid"] not in (None, before[0]) for one in rook.rows("web")), DEADLINE, "a restart")
    assert running(rook) == {one["pid"] for one in rook.rows("web")}
    end(rook)


def test_deleting(rook, tmp_path, killed):
    before = four(rook, tmp_path)
    killed("delete", "web:1", "web:3", told=(1, 3))
    rook.kill(before[1])
    rook.kill(before[3])
    wait_until(lambda: len(rook.rows("web")) == 2, DEADLINE, "the end of the deleted ones")
    assert {row["index"]: row["pid"] for row in rook.rows("web")} == {0: before[0], 2: before[2]}
    assert running(rook) == {before[0], before[2]}
    end(rook)


def test_a_changed_app_is_not_left_as_it_was(rook, tmp_path, killed):
    """Of a start that changes an app: what still ran as it was is started again by the next manager."""
    before = four(rook, tmp_path)
    killed(*web(rook, tmp_path, "--set-env", "NEW=1"), told=(0, 1, 2, 3))
    for pid in before.values():
        rook.kill(pid)

    def renewed():
        rows = rook.rows("web")
        return all(row["pid"] not in (None, *before.values()) for row in rows) and rows

    rows = wait_until(renewed, DEADLINE, "new copies")
    assert running(rook) == {row["pid"] for row in rows}
    assert {one["running"].get("NEW") for one in rook.get("/v1/env?select=web")} == {"1"}
    end(rook)
