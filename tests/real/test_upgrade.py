"""``rook upgrade``: the version in charge is replaced, and no app notices."""

from __future__ import annotations

import http.client
import threading

import pytest

from capabilities import DEADLINE, needs_linux
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]


class Load(threading.Thread):
    """Requests over a kept connection and fresh ones in turn, about a hundred a second."""

    def __init__(self, port):
        super().__init__(name="load")
        self.port, self.answers, self.failures, self.stopping = port, [], [], threading.Event()

    def ask(self, connection):
        connection.request("GET", "/")
        self.answers.append(int(connection.getresponse().read()))

    def run(self):
        kept = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        while not self.stopping.wait(0.01):
            fresh = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
            try:
                self.ask(kept)
                self.ask(fresh)
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            finally:
                fresh.close()
        kept.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()


def test_five_upgrades_in_a_row(rook, tmp_path):
    web = rook.start("web.py", "web", tmp_path / "port")
    counter = rook.start("count_lines.py", "counter")
    port = int(wait_until(lambda: (tmp_path / "port").exists() and (tmp_path / "port").read_text(), DEADLINE, "a port"))
    keeper = rook.ping()["keeper_pid"]
    managers = [rook.ping()["pid"]]
    with Load(port) as load:
        for _ in range(5):
            there = len(load.answers)
            managers.append(rook.json("upgrade")["pid"])
            wait_until(lambda there=there: len(load.answers) > there, DEADLINE, "an answer meanwhile")
    assert len(set(managers)) == 6
    assert load.failures == []
    assert set(load.answers) == {web["pid"]}
    assert {row["name"]: row["pid"] for row in rook.rows()} == {"web": web["pid"], "counter": counter["pid"]}
    assert rook.ping()["keeper_pid"] == keeper  # it has become the new version under its own pid
    ours = list(rook.processes().values())
    for program in ("rookery-keeper", "rookery-manager", "rookery-collector"):
        assert sum(program in command for command in ours) == 1, ours
    rook.ok("stop", "counter")
    *numbers, last = rook.log("counter")
    assert last == f"all {len(numbers)}"
    assert numbers == [str(number) for number in range(len(numbers))]
