"""The heartbeat's two sides, over a socket pair, with a clock that stands still."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from capabilities import DEADLINE
from rookery import Health, fork
from rookery.errors import UsageError
from rookery.testing import FakeClock, wait_until
from rookery.worker.beating import LoopBeat, ThreadBeat
from rookery.worker.heartbeat import Heart, health_of, limit_of


class Watched:
    """A Heart, the other end of its socket, and what it has told."""

    def __init__(self, *, is_fatal=False, is_expected=True):
        ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        self.told = []
        self.clock = FakeClock()
        health = Health(period=10, timeout=4, failure_threshold=2)
        self.heart = Heart(ours, health, self.told.append, clock=self.clock, is_expected=is_expected)
        self.task = asyncio.create_task(self.heart.beat(only_while_responsive=is_fatal))

    async def __aenter__(self):
        await self.clock.advance(0)
        return self

    async def __aexit__(self, *_):
        self.heart.close()
        self.theirs.close()
        self.task.cancel()
        await asyncio.wait([self.task])

    async def answer(self):
        """What a worker does that has a turn."""
        data = self.theirs.recv(256)
        self.theirs.send(data)
        before = self.heart.silent_for
        async with asyncio.timeout(DEADLINE):
            while self.heart.silent_for and self.heart.silent_for >= before:  # noqa: ASYNC110 - a real socket
                await asyncio.sleep(0.001)
        return data


async def test_one_that_answers():
    async with Watched() as one:
        for _ in range(5):
            await one.clock.advance(1)
            await one.answer()
            await one.clock.advance(9)
        assert one.told == []
        assert (one.heart.missed, one.heart.latency, one.heart.is_responsive) == (0, 1, True)


async def test_each_period_it_is_asked_once():
    async with Watched() as one:
        for number in range(1, 4):
            assert one.theirs.recv(256) == bytes([number])
            one.theirs.send(bytes([number]))
            await one.clock.advance(10)


async def test_one_that_is_stuck_is_reported_and_comes_back():
    async with Watched() as one:
        await one.clock.advance(4)
        assert one.told == ["heartbeat_missed"]
        await one.clock.advance(10)
        assert one.told == ["heartbeat_missed", "heartbeat_missed", "unresponsive"]
        assert not one.heart.is_responsive
        await one.clock.advance(20)
        assert one.told[3:] == ["heartbeat_missed"] * 2
        assert one.heart.missed == 4
        await one.answer()
        assert one.told[5:] == ["responsive"]
        assert (one.heart.missed, one.heart.is_responsive) == (0, True)
        assert not one.task.done()


async def test_where_that_is_fatal_nothing_is_asked_any_more():
    async with Watched(is_fatal=True) as one:
        await one.clock.advance(14)
        assert one.told[-1] == "unresponsive"
        assert one.task.done()


async def test_an_answer_that_came_while_this_process_was_stuck_itself():
    """Its time is over and the answer lies there: both are seen in the same turn of the loop."""
    async with Watched() as one:
        one.heart._loop.remove_reader(one.heart._sock)
        one.theirs.send(one.theirs.recv(1))
        await one.clock.advance(4)
        assert one.told == []
        assert one.heart.missed == 0


async def test_one_that_has_not_begun_is_not_missed():
    async with Watched(is_expected=False, is_fatal=True) as one:
        await one.clock.advance(1000)
        assert one.told == []
        await one.answer()
        await one.clock.advance(30)
        assert one.told[-1] == "unresponsive"


async def test_one_that_never_reads_holds_up_nobody():
    """There is an end to what the socket takes."""
    async with Watched() as one:
        await one.clock.advance(10 * 2000)
        assert one.heart.missed == 2000


async def test_the_end_is_no_miss():
    async with Watched(is_fatal=True) as one:
        one.theirs.close()
        async with asyncio.timeout(DEADLINE):
            await one.task
        assert one.told == []
        assert one.heart.is_responsive


def test_what_is_asked_for():
    assert health_of(None) is None
    assert health_of(2) == Health(period=2, timeout=2)
    assert limit_of(Health(period=2, timeout=5, failure_threshold=4)) == 20
    with pytest.raises(UsageError, match="more than 0"):
        health_of(0)
    with pytest.raises(UsageError, match="'kill' or 'report'"):
        fork("module:function", on_unresponsive="shout")


def test_a_thread_answers_while_this_one_computes():
    ours, theirs = socket.socketpair()
    beat = ThreadBeat(theirs, 0.05)
    with ours:
        ours.settimeout(DEADLINE)
        for _ in range(3):
            ours.send(b"\x07")
            assert ours.recv(1) == b"\x07"
        assert not beat.has_ended
        wait_until(lambda: beat.is_silent, DEADLINE, "that the parent is called silent")
        ours.send(b"\x08")
        assert ours.recv(1) == b"\x08"
        assert beat.silent_for < DEADLINE
        beat.close()
        beat.close()
        assert beat.has_ended
        assert ours.recv(1) == b""
    assert "rookery-heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_the_thread_ends_with_the_parent():
    ours, theirs = socket.socketpair()
    beat = ThreadBeat(theirs, 1)
    ours.close()
    wait_until(lambda: beat.has_ended, DEADLINE, "the end of the thread")
    assert not beat.is_silent
    beat.close()


async def test_the_loop_answers_and_tells_of_silence():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop, told = asyncio.get_running_loop(), []
    beat = LoopBeat(theirs, 0.05, loop)
    beat.on_silence(told.append)
    with ours:
        async with asyncio.timeout(DEADLINE):
            ours.send(b"\x07")
            assert await loop.sock_recv(ours, 1) == b"\x07"
            while told != [True]:  # noqa: ASYNC110 - its own clock
                await asyncio.sleep(0.001)
            assert beat.is_silent
            ours.send(b"\x08")
            assert await loop.sock_recv(ours, 1) == b"\x08"
            while told[:2] != [True, False]:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        beat.close()


async def test_the_loop_closes_at_the_end():
    ours, theirs = socket.socketpair()
    beat = LoopBeat(theirs, 0.05, asyncio.get_running_loop())
    ours.close()
    async with asyncio.timeout(DEADLINE):
        while not beat.has_ended:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    beat.close()
