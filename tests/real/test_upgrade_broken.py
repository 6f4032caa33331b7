"""An upgrade to a version that does not work leaves the one before in charge, and the apps untouched."""

from __future__ import annotations

import pytest

from capabilities import DEADLINE, copy_package, needs_linux
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]

MANAGER = "daemon/manager/main.py"
AT_IMPORT = 'CANNOT_MANAGE = 78\n"""Exit code'
AT_WORK = "    await leaving.wait()\n    upgrade.replaced()"
TAKEN = "    if taken.is_leaving:\n"
IMPATIENT = ("daemon/keeper/programs.py", "CANDIDATE_WITHIN = 15.0", "CANDIDATE_WITHIN = 1.5")

HAS_FOLLOWED = """
    root = __file__.removesuffix("/rookery/daemon/manager/main.py")
    for _ in range(500):
        with open(f"/proc/{os.getppid()}/cmdline") as words:
            if root in words.read():
                break
        await asyncio.sleep(0.01)
"""
BROKEN = {
    "fails to import": ((MANAGER, AT_IMPORT, 'raise ImportError("broken")\n' + AT_IMPORT), "ended with 1 before"),
    "hangs": ((MANAGER, AT_IMPORT, "import time\n\ntime.sleep(600)\n" + AT_IMPORT), "ended with -9 before"),
    "is killed before it is ready": ((MANAGER, AT_IMPORT, "os._exit(9)\n" + AT_IMPORT), "ended with 9 before"),
    "falls once it has the lease": ((MANAGER, TAKEN, '    raise RuntimeError("broken")\n' + TAKEN), "in charge again"),
    "falls once the keeper has followed": (
        (MANAGER, AT_WORK, HAS_FOLLOWED + "    os._exit(9)\n" + AT_WORK),
        "in charge again",
    ),
}


def ours(rook):
    commands = [command for command in rook.processes().values() if "rookery-" in command]
    words = ("rookery-keeper", "rookery-manager", "rookery-collector")
    return commands, [sum(word in command for command in commands) for word in words]


def only_of(rook, root):
    """One keeper, manager and collector, all of this version."""
    commands, counts = ours(rook)
    return counts == [1, 1, 1] and all(f" {root} " in command or f"'{root}'" in command for command in commands)


def with_version(rook, root):
    """The same home, commands of another version."""
    rook.environ["PYTHONPATH"] = root


def upgrade_to(rook, root):
    """``rook upgrade`` of another version; commands are of the one before again afterwards."""
    before = rook.environ["PYTHONPATH"]
    with_version(rook, root)
    ran = rook("upgrade")
    with_version(rook, before)
    return ran


@pytest.mark.parametrize("how", BROKEN)
def test_a_version_that_does_not_work(rook, tmp_path, how):
    edit, message = BROKEN[how]
    old, new = copy_package(tmp_path / "old", IMPATIENT), copy_package(tmp_path / "new", edit)
    with_version(rook, old)
    counter = rook.start("count_lines.py", "counter")
    ran = upgrade_to(rook, new)
    assert ran.code == 1, ran
    assert message in ran.err
    assert "in charge" in ran.err
    wait_until(lambda: only_of(rook, old), DEADLINE, "one of each of the old version")
    assert wait_until(rook.ping, DEADLINE, "a manager")["apps"] == 1
    assert rook.row("counter")["pid"] == counter["pid"]
    rook.ok("upgrade")  # and a good one goes through afterwards
    rook.ok("stop", "counter")
    *numbers, last = rook.log("counter")
    assert last == f"all {len(numbers)}"
    assert numbers == [str(number) for number in range(len(numbers))]


def test_a_keeper_that_cannot_be_imported_is_refused(rook, tmp_path):
    old = copy_package(tmp_path / "old")
    text = "LOW_NUMBERS = 64\n"
    new = copy_package(tmp_path / "new", ("daemon/keeper/main.py", text, 'raise ImportError("broken")\n' + text))
    with_version(rook, old)
    idle = rook.start("idle.py", "idle")
    keeper = rook.ping()["keeper_pid"]
    upgrade_to(rook, new)
    wait_until(lambda: "ImportError: broken" in rook.manager_log, DEADLINE, "the refusal in manager.log")
    rook.kill(idle["pid"])
    assert rook.wait_for("idle", state="running", restarts=1)["pid"] != idle["pid"]
    assert rook.ping()["keeper_pid"] == keeper
    commands, counts = ours(rook)
    assert counts == [1, 1, 1]
    assert all(old in command for command in commands if "rookery-keeper" in command)
