"""A thread pool and event loops."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading

import pytest

from capabilities import DEADLINE
from rookery.errors import PoolClosed, TaskTimeout
from rookery.pool import ThreadPool, report_progress
from rookery.testing import wait_until


async def test_run():
    number = contextvars.ContextVar("number")
    number.set(3)
    async with ThreadPool(2) as pool:
        assert await pool.run(int, "7") == 7
        assert await pool.run(number.get) == 3
        assert await asyncio.gather(*(pool.run(pow, n, 2) for n in range(100))) == [n * n for n in range(100)]
        with pytest.raises(ValueError, match="invalid literal"):
            await pool.run(int, "x")


async def test_results_come_in_the_loop_and_together():
    async with ThreadPool(1) as pool:
        loop = asyncio.get_running_loop()
        wakes = []
        call = loop.call_soon_threadsafe

        def counted(*args, **kwargs):
            wakes.append(1)
            return call(*args, **kwargs)

        loop.call_soon_threadsafe = counted
        try:
            gate = threading.Event()
            held = pool.run(gate.wait, DEADLINE)
            futures = [pool.run(threading.get_ident) for _ in range(500)]
            gate.set()
            pool.drain(DEADLINE)  # this thread is the loop's: nothing is delivered meanwhile
            assert not any(future.done() for future in (held, *futures))
            await asyncio.gather(held, *futures)
        finally:
            del loop.call_soon_threadsafe
        assert len(wakes) == 1


async def test_stop_iteration_is_no_hang():
    def stop():
        raise StopIteration(3)

    async with ThreadPool(1) as pool:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await pool.run(stop)


async def test_cancelled_before_it_began_it_never_runs():
    ran = []
    async with ThreadPool(1) as pool:
        gate = threading.Event()
        held = pool.run(gate.wait, DEADLINE)
        task = asyncio.ensure_future(pool.run(ran.append, 1))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.status().tasks.cancelled == 1
        gate.set()
        await held
    assert ran == []


async def test_cancelled_in_the_middle_it_goes_on_in_its_thread():
    ran = []
    async with ThreadPool(1) as pool:
        gate, started = threading.Event(), threading.Event()

        def work():
            started.set()
            gate.wait(DEADLINE)
            ran.append(1)

        future = pool.run(work)
        await asyncio.to_thread(started.wait, DEADLINE)
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        assert pool.status().workers.total == 1  # no second thread comes beside it
        gate.set()
    assert ran == [1]
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_a_time_limit():
    gate = threading.Event()
    async with ThreadPool(1) as pool:
        with pytest.raises(TaskTimeout):
            await pool.options(timeout=0.05).run(gate.wait, DEADLINE)
        gate.set()


async def test_progress_comes_in_the_loop_before_the_result():
    seen = []

    def work():
        for step in range(3):
            report_progress(step)
        return 3

    async with ThreadPool(1) as pool:
        here = threading.get_ident()
        running = pool.options(on_progress=lambda value: seen.append((value, threading.get_ident()))).run(work)
        seen.append(await running)
    assert seen == [(0, here), (1, here), (2, here), 3]


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_map(ordered):
    async with ThreadPool(3) as pool:
        found = [result async for result in pool.map(abs, range(50), ordered=ordered)]
    assert sorted(found) == list(range(50))
    if ordered:
        assert found == list(range(50))


async def test_drained():
    async with ThreadPool(2) as pool:
        await pool.drained()
        futures = [pool.run(abs, n) for n in range(50)]
        await pool.drained()
        await asyncio.sleep(0)
        assert all(future.done() for future in futures)


async def test_the_block_waits_for_what_was_given_while_the_loop_goes_on():
    gate = threading.Event()
    turns = []

    async def open_it():
        for _ in range(3):
            turns.append(1)
            await asyncio.sleep(0)
        gate.set()

    async with ThreadPool(1) as pool:
        future = pool.submit(gate.wait, DEADLINE)
        opener = asyncio.create_task(open_it())
    assert future.done()
    assert len(turns) == 3
    await opener


async def test_who_is_cancelled_at_the_end_of_the_block_waits_for_nobody():
    gate, started = threading.Event(), asyncio.Event()
    futures = []

    async def block():
        async with ThreadPool(1) as pool:
            futures.append(pool.submit(gate.wait, DEADLINE))
            wait_until(futures[0].running, DEADLINE, "the task")
            started.set()

    task = asyncio.create_task(block())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(futures[0].exception(0), PoolClosed)
    gate.set()


async def test_aclose_with_a_limit():
    gate = threading.Event()
    pool = ThreadPool(1)
    running, waiting = pool.run(gate.wait, DEADLINE), pool.run(int)
    await pool.aclose(timeout=0.02)
    gate.set()
    assert isinstance(await asyncio.gather(running, return_exceptions=True), list)
    assert isinstance(running.exception(), PoolClosed)
    assert waiting.cancelled()


def test_several_loops_share_one_pool():
    with ThreadPool(2) as pool:
        sums = []

        async def work():
            return sum(await asyncio.gather(*(pool.run(abs, n) for n in range(200))))

        threads = [threading.Thread(target=lambda: sums.append(asyncio.run(work()))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert sums == [sum(range(200))] * 4


def test_a_loop_that_was_closed_takes_its_results_with_it():
    gate = threading.Event()
    with ThreadPool(1) as pool:

        async def leave():
            pool.run(gate.wait, DEADLINE)
            pool.run(int, "1")

        asyncio.run(leave())
        gate.set()
        assert pool.submit(int, "2").result(DEADLINE) == 2
        assert pool.status().tasks.completed >= 2
    gc.collect()


def test_the_pool_does_not_keep_a_loop():
    import weakref

    with ThreadPool(1) as pool:

        async def work():
            await pool.run(int)
            return weakref.ref(asyncio.get_running_loop())

        loop = asyncio.run(work())
        # The thread may just be letting go of its task.
        wait_until(lambda: gc.collect() >= 0 and loop() is None, DEADLINE, "the loop's end")
