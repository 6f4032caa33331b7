"""A hub over forked workers: a master, tasks from one worker to another, and workers that die."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from capabilities import DEADLINE
from rookery import Health, Hub, fork
from rookery.errors import Disconnected, RemoteError

pytestmark = [pytest.mark.real, pytest.mark.timeout(3 * DEADLINE)]

ENV = {"PYTHONPATH": str(Path(__file__).parent / "programs" / "workers")}


class Team:
    """A hub and its workers."""

    def __init__(self, **options):
        self.changes = []
        self.hub = Hub(on_change=self.changed, **options)
        self.came = asyncio.Event()
        self.workers = {}

    async def __aenter__(self):
        await asyncio.gather(*(self.add(f"w{number}") for number in range(4)))
        return self

    async def __aexit__(self, *_):
        await self.hub.close()
        for worker in self.workers.values():
            await worker.leave(is_hurried=False)

    def changed(self, what, member):
        self.changes.append((what, member.name))
        self.came.set()

    async def until(self, *change):
        async with asyncio.timeout(DEADLINE):
            while change not in self.changes:
                self.came.clear()
                await self.came.wait()

    async def add(self, name):
        self.workers[name] = worker = await fork("teamwork:main", data=name, env=ENV)
        self.hub.join(name, worker.channel)


async def test_tasks_in_turn_broadcast_and_health():
    async with Team(assign="round-robin", health=Health(period=0.05, timeout=DEADLINE)) as team:
        answers = [await team.hub.request({"type": "who"}) for _ in range(8)]
        assert sorted(answers[:4]) == ["w0", "w1", "w2", "w3"]
        assert answers[:4] == answers[4:]
        assert await team.hub.broadcast({"type": "note", "text": "x"}) == dict.fromkeys(team.workers)
        for name in team.workers:
            assert await team.hub.request({"type": "notes"}, to=name) == ["x"]
        pings = await asyncio.gather(*(member.channel.ping() for member in team.hub.members.values()))
        assert all(0 < seconds < DEADLINE for seconds in pings)
        assert all(member.healthy for member in team.hub.members.values())


async def test_a_task_from_one_worker_to_another_and_back():
    async with Team() as team:
        assert await team.hub.request({"type": "delegate", "to": "w2", "n": 7}, to="w0") == ["w0", ["w2", 49]]
        chosen = await team.hub.request({"type": "delegate", "to": "", "n": 3}, to="w1")
        assert chosen[1][0] != "w1"
        with pytest.raises(RemoteError, match="not negative"):
            await team.hub.request({"type": "delegate", "to": "w2", "n": -1}, to="w0")


async def test_a_worker_that_dies_leaves_and_its_task_is_an_error():
    async with Team() as team:
        both = asyncio.Semaphore(0)
        team.workers["w3"].on("begun", lambda _: both.release())
        asking = asyncio.create_task(team.hub.request({"type": "sleep"}, to="w3"))
        delegated = asyncio.create_task(team.hub.request({"type": "delegate", "to": "w3", "n": None}, to="w0"))
        for _ in range(2):
            await both.acquire()
        os.kill(team.workers["w3"].pid, signal.SIGKILL)
        with pytest.raises(Disconnected, match=r"w3 went away with a task underway.*SIGKILL"):
            await asking
        with pytest.raises(RemoteError, match="w3 went away"):
            await delegated
        assert ("left", "w3") in team.changes
        assert sorted(team.hub.members) == ["w0", "w1", "w2"]
        await team.workers["w3"].leave(is_hurried=True)
        await team.add("w3")
        assert await team.hub.request({"type": "who"}, to="w3") == "w3"


async def test_a_worker_that_leaves_by_itself():
    async with Team() as team:
        await team.workers["w1"].send({"type": "leave"})
        assert (await team.workers["w1"].wait()).code == 0
        await team.workers["w1"].channel.wait_closed()
        await asyncio.sleep(0)
        assert ("left", "w1") in team.changes
        assert await team.hub.broadcast({"type": "note", "text": 1}) == dict.fromkeys(["w0", "w2", "w3"])


async def test_a_stopped_worker_is_unhealthy_and_given_nothing():
    async with Team(health=Health(period=0.05, timeout=0.3, failure_threshold=2)) as team:
        os.kill(team.workers["w2"].pid, signal.SIGSTOP)
        await team.until("unhealthy", "w2")
        answers = {await team.hub.request({"type": "who"}) for _ in range(8)}
        assert "w2" not in answers
        os.kill(team.workers["w2"].pid, signal.SIGCONT)
        await team.until("healthy", "w2")
