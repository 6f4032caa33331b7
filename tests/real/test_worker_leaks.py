"""Thousands of children come and go, and nothing of them stays: descriptors, zombies, threads, memory.

ROOKERY_MANY_FORKS=1000 forks so many in place of 200.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_linux
from rookery import CAPTURE, DISCARD, fork, run, spawn
from rookery._os import kernel
from rookery.errors import CommandNotFound, NotReady, ProcessFailed, WorkerLost

pytestmark = [pytest.mark.real, needs_linux, pytest.mark.timeout(15 * DEADLINE)]

WORKERS = Path(__file__).parent / "programs" / "workers"
FORKS = int(os.environ.get("ROOKERY_MANY_FORKS", "200"))
MOST_OBJECTS, MOST_BYTES = 0.25, 150
"""Objects and bytes that may stay of each child; a leak of anything would be a whole one, and some hundred."""
OF_A_KILLED_ONE = 1000
"""Bytes: the index of cookies keeps a line for each process that it has looked at, up to 20,000. A Child has 4,000."""
OF_OTHERS = 60_000
"""Bytes: its lines for processes of others that came up on this machine meanwhile, other tests' too."""


def facts():
    """Descriptors, children, threads."""
    return len(os.listdir("/proc/self/fd")), len(kernel.children(os.getpid())), threading.active_count()


async def measured(once, count, *, warm_up, together, most_bytes=MOST_BYTES):
    """once() so many times, some together; then as much is there as before."""
    for size in (warm_up, count):
        if size == count:
            before = await settled(lambda _: True)
            tracemalloc.start()
        left = iter(range(size))

        async def work(left=left):
            for _ in left:
                await once()

        await asyncio.gather(*(work() for _ in range(together)))
    most = before[0], before[1] + count * MOST_OBJECTS + 100, count * most_bytes + OF_OTHERS
    after = await settled(lambda now: now[0] == most[0] and now[1] < most[1] and now[2] < most[2])
    tracemalloc.stop()
    assert after[0] == most[0]
    assert after[1] < most[1]
    assert after[2] < most[2]


async def settled(is_enough):
    """((descriptors, children, threads), objects, bytes): when the ends of children have been dealt with.

    Some of it has its time, such as the moment in which the guardian may still be told of a child.
    """
    until = time.monotonic() + DEADLINE
    while True:
        await asyncio.sleep(0.01)
        gc.collect()
        now = facts(), len(gc.get_objects()), tracemalloc.get_traced_memory()[0]
        if is_enough(now) or time.monotonic() > until:
            return now


async def test_a_thousand_commands():
    async def once():
        await run("true")

    await measured(once, 500, warm_up=50, together=8)


async def test_a_thousand_spawned():
    async def once():
        async with spawn("echo", "hello", stderr=DISCARD) as child:
            assert [line async for line in child.stdout] == ["hello"]

    await measured(once, 500, warm_up=50, together=8)


async def test_those_that_fail_time_out_or_are_cancelled():
    async def once():
        with pytest.raises(ProcessFailed):
            await run("false")
        assert (await run("sleep", "60", timeout=0.01, check=False)).timed_out
        with pytest.raises(CommandNotFound):
            await run("/no/such/program")
        waiting = asyncio.create_task(run("sleep", "60"))
        await asyncio.sleep(0.005)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()

    await measured(once, 40, warm_up=10, together=4, most_bytes=2 * OF_A_KILLED_ONE)


async def test_hundreds_of_workers():
    """With everything that one can have: requests, a heartbeat, handlers, messages that nobody receives."""

    async def once():
        async with fork(
            WORKERS / "bare.py", interpreter_args=["-I", "-S"], codec="json", heartbeat=30, stdout=CAPTURE
        ) as worker:
            worker.channel.on("handled", lambda _: None)
            await worker.send({"type": "handled"})
            await worker.send(["echo"])
            assert await worker.receive() == ["echo"]
            await worker.send("left lying")

    await measured(once, FORKS, warm_up=20, together=4)


async def test_workers_that_are_killed_or_never_ready():
    options = {"interpreter_args": ["-I", "-S"], "codec": "json", "stderr": DISCARD}

    async def once():
        async with fork(WORKERS / "bare.py", **options) as worker:
            waiting = [asyncio.create_task(work) for work in (worker.receive(), worker.channel.ping())]
            await asyncio.sleep(0)
            await worker.kill()
            for error in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(error, WorkerLost)
        with pytest.raises(NotReady):
            await fork(
                WORKERS / "bare.py", **{**options, "interpreter_args": ["-I", "-S", "-c", "raise SystemExit(1)"]}
            )

    await measured(once, 30, warm_up=8, together=4, most_bytes=OF_A_KILLED_ONE)
