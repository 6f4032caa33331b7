"""Things are killed at any moment of a request: what was asked for is reached, and there is never a second copy."""

from __future__ import annotations

import random
import time

import pytest

from capabilities import DEADLINE, needs_linux
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]

MANAGER = [["pid"]]
ANYTHING = [
    ["keeper_pid"],
    ["keeper_pid", "pid"],
    ["pid", "keeper_pid"],
    ["collector_pid"],
    ["collector_pid", "pid"],
    ["keeper_pid", "pid", "collector_pid"],
]
LONGEST = 0.12
"""Seconds: about what the longest of the requests takes here."""


class App:
    """One app that tells when it meets a second copy of itself."""

    def __init__(self, rook, folder):
        self.rook, self.journal = rook, folder / "journal"
        words = ["--name", "web", "--wait", "started", "--", self.journal]
        self.requests = {
            "start": ["start", rook.programs / "alone.py", *words],
            "restart": ["restart", "web", "--wait", "started"],
            "stop": ["stop", "web"],
            "delete": ["delete", "web"],
        }
        self.bring_up()

    def bring_up(self):
        self.rook.ok(*self.requests["start"])

    def ask_and_kill(self, verb, delay, victims):
        """Ask, and after a while kill; what came of it."""
        old = self.rook.json("ping")
        with self.rook.popen(*self.requests[verb]) as asking:
            time.sleep(delay)  # not for luck: to meet another moment each time
            for victim in victims:
                self.rook.kill(old[victim])
            said = asking.communicate(timeout=DEADLINE)
        return asking.returncode, *said

    def ask_again(self, verb):
        code = self.rook(*self.requests[verb]).code
        if verb == "delete":
            assert (code, self.rook.rows()) in ((0, []), (3, [])), code
        else:
            assert code == 0
            assert self.rook.row("web")["state"] == ("stopped" if verb == "stop" else "running")

    def assert_one(self):
        row = self.rook.wait_for("web", state="running")
        line = f"start {row['pid']}\n"
        wait_until(lambda: line in self.journal.read_text(), DEADLINE, f"{line!r} in the journal")
        assert "double" not in self.journal.read_text()
        copies = [command for command in self.rook.processes().values() if "alone.py" in command]
        assert len(copies) == 1, copies


@pytest.mark.parametrize(("seed", "killed"), [(1, MANAGER), (2, MANAGER), (3, ANYTHING), (4, ANYTHING)])
def test_killed_at_any_moment(rook, tmp_path, seed, killed):
    chance = random.Random(seed)
    app = App(rook, tmp_path)
    for number in range(4):
        verb = chance.choice(["restart", "restart", "stop", "start", "delete"])
        delay, victims = chance.uniform(0.0, LONGEST), chance.choice(killed)
        print(f"seed {seed}, round {number}: {verb}, and after {delay * 1000:.0f} ms a kill of {victims}")
        code, out, err = app.ask_and_kill(verb, delay, victims)
        print(code, out, err)
        assert code in (0, 1, 3)
        rook.ok("list")
        app.ask_again(verb)
        app.bring_up()
        app.assert_one()
