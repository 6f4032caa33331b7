"""Every kernel feature that may be missing is taken away: all goes on."""

from __future__ import annotations

import pytest

from capabilities import DEADLINE, needs_linux
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]

MISSING = ["pidfd", "subreaper", "pidfd_info", "pidfd,subreaper,pidfd_info"]


@pytest.mark.parametrize("missing", MISSING)
def test_without(rook, missing):
    rook.environ["ROOKERY_WITHOUT"] = missing
    app, idle = rook.start("count_lines.py", "app"), rook.start("idle.py", "idle")
    old = rook.ping()
    for pid in (old["pid"], old["keeper_pid"], old["collector_pid"]):
        assert kernel.environ_value(pid, "ROOKERY_WITHOUT") == missing

    rook.kill(app["pid"])
    app = wait_until(lambda: (row := rook.row("app"))["restarts"] and row["pid"] and row, DEADLINE, "the next copy")
    assert app["exit"]["signal"] == "SIGKILL"

    rook.next_manager(rook.kill_manager())
    assert {row["name"]: row["pid"] for row in rook.rows()} == {"app": app["pid"], "idle": idle["pid"]}

    old = rook.ping()
    rook.kill(old["keeper_pid"])
    assert {row["name"]: row["pid"] for row in rook.json("list")} == {"app": app["pid"], "idle": idle["pid"]}
    assert wait_until(rook.ping, DEADLINE, "a manager")["keeper_pid"] != old["keeper_pid"]
    if "pidfd" in missing.split(","):
        rook.ok("upgrade")  # who watches them becomes another image of itself, and goes on watching
    rook.kill(idle["pid"])  # it is nobody's child now
    wait_until(lambda: (row := rook.row("idle"))["restarts"] and row["pid"], DEADLINE, "the next copy")

    rook.ok("stop", "app")
    assert not kernel.is_alive(app["pid"], kernel.start_time(app["pid"]) or 0)
    assert rook.log("app")[-1].startswith("all ")
    rook.ok("kill")
    assert rook.processes() == {}
