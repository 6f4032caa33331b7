"""Workers that are stuck are seen, those that are only busy are left alone; and the other way round."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from capabilities import DEADLINE
from rookery import DISCARD, Health, fork
from rookery._os import kernel
from rookery.errors import UsageError, WorkerLost
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(3 * DEADLINE)]

WORKERS = Path(__file__).parent / "programs" / "workers"
ENV = {"PYTHONPATH": str(WORKERS)}


class Told:
    """What on_change tells, to be waited for."""

    def __init__(self):
        self.all = []
        self._new = asyncio.Event()

    def __call__(self, what, _):
        self.all.append(what)
        self._new.set()

    async def until(self, what):
        async with asyncio.timeout(DEADLINE):
            while what not in self.all:
                self._new.clear()
                await self._new.wait()

    @property
    def without_misses(self):
        return [what for what in self.all if what != "heartbeat_missed"]


@pytest.fixture
def told():
    return Told()


async def test_stopped_and_killed(told):
    async with fork(WORKERS / "answers.py", heartbeat=0.2, on_change=told) as worker:
        await worker.call("add", a=1, b=1)
        os.kill(worker.pid, signal.SIGSTOP)
        with pytest.raises(WorkerLost, match="did not answer for") as caught:
            await worker.receive()
        assert caught.value.signal == "SIGKILL"
    await told.until("disconnected")
    assert told.all.count("heartbeat_missed") == 3
    assert told.without_misses == ["ready", "unresponsive", "exited", "disconnected"]


@pytest.mark.parametrize("target", [WORKERS / "answers.py", "hearts:computes"], ids=["asyncio", "blocking"])
async def test_stopped_reported_and_continued(told, target):
    described = fork(target, heartbeat=0.1, on_unresponsive="report", on_change=told, env=ENV, data=0)
    async with described as worker:
        os.kill(worker.pid, signal.SIGSTOP)
        await told.until("unresponsive")
        assert not worker.is_responsive
        assert worker.heartbeat.missed >= 3
        assert worker.heartbeat.silent_for > 0.2
        assert worker.is_running
        os.kill(worker.pid, signal.SIGCONT)
        await told.until("responsive")
        assert worker.is_responsive
    assert told.without_misses[:3] == ["ready", "unresponsive", "responsive"]


async def test_busy_is_not_stuck(told):
    """It computes for twice as long as a stuck worker would be given."""
    health = Health(period=0.05, timeout=0.5, failure_threshold=4)
    async with fork("hearts:computes", data=4.0, heartbeat=health, on_change=told, env=ENV) as worker:
        assert await worker.receive() == "done"
        assert worker.is_responsive
    assert "unresponsive" not in told.all


@pytest.mark.parametrize(("target", "data"), [("hearts:holds_the_lock", None), ("hearts:blocks_its_loop", 600)])
async def test_stuck_and_killed(told, target, data):
    async with fork(target, data=data, heartbeat=0.1, on_change=told, env=ENV) as worker:
        assert await worker.receive() == "now"
        with pytest.raises(WorkerLost, match="did not answer for"):
            await worker.receive()
    assert "unresponsive" in told.all


async def test_a_loop_that_is_blocked_for_a_while(told):
    """Long enough to be noticed, and back: reported, not killed."""
    async with fork(
        "hearts:blocks_its_loop", data=1.0, heartbeat=0.1, on_unresponsive="report", on_change=told, env=ENV
    ) as worker:
        await told.until("responsive")
        assert worker.is_running
    assert told.without_misses[:3] == ["ready", "unresponsive", "responsive"]


async def test_messages_that_nobody_receives_hold_up_no_heartbeat(told):
    """The parent reads no further then, and the worker waits; both are well."""
    health = Health(period=0.05, timeout=DEADLINE, failure_threshold=1)
    async with fork("hearts:talks_much", heartbeat=health, on_change=told, env=ENV) as worker:
        async with asyncio.timeout(DEADLINE):
            while not worker.channel._is_paused:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.001)
            before = worker.heartbeat._number
            while worker.heartbeat._number < before + 5:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert worker.is_responsive
        assert worker.heartbeat.missed == 0
    assert "heartbeat_missed" not in told.all


async def test_one_that_says_nothing_is_not_stuck_before_it_has_begun(told):
    async with fork(WORKERS / "says_nothing.py", ready=False, heartbeat=0.05, stderr=DISCARD, on_change=told) as worker:
        number = worker.heartbeat
        async with asyncio.timeout(DEADLINE):
            while number._number < 6:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert worker.is_running
    assert "heartbeat_missed" not in told.all


async def test_without_a_heartbeat():
    async with fork("hearts:is_not_watched", env=ENV) as worker:
        assert await worker.receive() is None
        assert worker.heartbeat is None
        assert worker.is_responsive
    with pytest.raises(UsageError, match="answers no heartbeat"):
        fork(WORKERS / "calc.js", heartbeat=1)


@pytest.mark.parametrize("function", ["watches", "watches_in_a_loop"])
def test_a_parent_that_is_stopped_is_a_fact_and_no_reason_to_leave(function):
    ours = set(kernel.children(os.getpid()))
    with subprocess.Popen(
        [sys.executable, WORKERS / "watched_parent.py", function],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as parent:  # fmt: skip
        assert parent.stdout.readline() == "heard\n"
        os.kill(parent.pid, signal.SIGSTOP)
        assert parent.stdout.readline() == "silent\n"
        assert any(kernel.is_alive(pid) for pid in kernel.children(parent.pid))
        os.kill(parent.pid, signal.SIGCONT)
        assert parent.stdout.readline() == "heard\n"
        parent.stdin.close()
        assert parent.wait(DEADLINE) == 0

    def have_gone():
        """Its guardian came to us, and is reaped here."""
        return all(os.waitpid(pid, os.WNOHANG)[0] for pid in set(kernel.children(os.getpid())) - ours)

    wait_until(have_gone, DEADLINE, "the end of all that came back to us")
