"""Many commands at once."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from capabilities import DEADLINE
from rookery.testing import wait_until

pytestmark = pytest.mark.real


def at_once(rook, *commands):
    """Run commands at the same time; their codes, and all that they said."""
    with ExitStack() as stack:
        running = [stack.enter_context(rook.popen(*command)) for command in commands]
        said = [process.communicate(timeout=DEADLINE * 2) for process in running]
        return [process.returncode for process in running], said


def most_alive(journal, last):
    """How many copies there were at any time, and how many in all. last: the row of the one that is to be there now."""
    wait_until(lambda: f"start {last['pid']}\n" in journal.read_text(), DEADLINE, "the first line of the last copy")
    alive, most, starts = set(), 0, 0
    for line in journal.read_text().splitlines():
        word, pid = line.split()
        assert word != "double", "a copy met another one"
        if word == "start":
            alive.add(pid)
            starts += 1
        else:
            alive.discard(pid)
        most = max(most, len(alive))
    return most, starts


def test_ten_restarts_are_one_orderly_sequence(rook, tmp_path):
    rook.start("alone.py", "web", tmp_path / "journal")
    codes, said = at_once(rook, *[("restart", "web", "--wait", "started")] * 10)
    assert codes == [0] * 10, said
    most, starts = most_alive(tmp_path / "journal", rook.row("web"))
    assert most == 1
    (detail,) = rook.get("/v1/details?select=web")
    # Those that wait at the same time are one; a copy that is stopped before its first line writes none.
    assert 2 <= starts <= detail["generation"] <= 11
    assert detail["row"]["restarts"] == detail["generation"] - 1
    assert detail["row"]["state"] == "running"


def test_six_starts_on_an_empty_home_end_with_one_manager(rook):
    script = rook.programs / "idle.py"
    codes, said = at_once(rook, *[("start", script, "--name", f"app{n}", "--wait", "started") for n in range(6)])
    assert codes == [0] * 6, said
    assert sorted(row["name"] for row in rook.rows()) == [f"app{n}" for n in range(6)]
    assert all(row["state"] == "running" for row in rook.rows())
    ours = list(rook.processes().values())
    assert [sum(word in command for command in ours) for word in ("rookery-keeper", "rookery-manager")] == [1, 1]


def test_starting_the_same_app_at_once_gives_one_copy(rook, tmp_path):
    command = ("start", rook.programs / "alone.py", "--name", "web", "--wait", "started", "--", tmp_path / "journal")
    codes, said = at_once(rook, *[command] * 4)
    assert codes == [0] * 4, said
    assert most_alive(tmp_path / "journal", rook.row("web")) == (1, 1)


def test_a_mixture_ends_as_it_was_asked_last(rook, tmp_path):
    rook.start("alone.py", "web", tmp_path / "journal")
    verbs = ["restart", "stop", "start", "restart", "stop", "start"]
    codes, said = at_once(rook, *[(verb, "web", "--wait", "started") for verb in verbs])
    assert all(code in (0, 1) for code in codes), said  # 1: stopped by another one while it waited
    rook.ok("start", "web", "--wait", "started")
    assert rook.row("web")["state"] == "running"
    assert most_alive(tmp_path / "journal", rook.row("web"))[0] == 1
    rook.ok("delete", "web")
    assert rook.rows() == []
