"""The queue of a thread pool: priorities, and its limit."""

from __future__ import annotations

import asyncio
import threading

import pytest

from capabilities import DEADLINE
from rookery.errors import PoolClosed, PoolFull
from rookery.pool import ThreadPool
from rookery.testing import wait_until


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


def hold(pool, gate):
    """A task that holds the only thread until the gate is set."""
    running = threading.Event()

    def work():
        running.set()
        gate.wait(DEADLINE)

    future = pool.submit(work)
    assert running.wait(DEADLINE)
    return future


def test_the_higher_priority_goes_first(gate):
    done = []
    with ThreadPool(1) as pool:
        hold(pool, gate)
        for number, priority in enumerate((0, 5, 0, -1, 5)):
            pool.options(priority=priority).submit(done.append, number)
        gate.set()
    assert done == [1, 4, 0, 2, 3]


def test_who_submits_to_a_full_pool_waits(gate):
    with ThreadPool(1, max_queue=2) as pool:
        hold(pool, gate)
        results = []
        threads = [
            threading.Thread(target=lambda n=n: results.append(pool.submit(int, n).result(DEADLINE))) for n in range(6)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(pool._engine._blocked) == 4, DEADLINE, "four callers who wait")
        assert pool.status().tasks.queued == 2
        gate.set()
        for thread in threads:
            thread.join(DEADLINE)
        assert sorted(results) == list(range(6))


def test_or_is_refused(gate):
    with ThreadPool(1, max_queue=2, when_full="raise") as pool:
        held = hold(pool, gate)
        waiting = [pool.submit(int) for _ in range(2)]
        with pytest.raises(PoolFull) as caught:
            pool.submit(int)
        assert caught.value.limit == 2
        assert waiting[0].cancel()
        assert pool.submit(int, "3")
        gate.set()
        held.result(DEADLINE)
        pool.drain(DEADLINE)
        assert pool.submit(int, "4").result(DEADLINE) == 4


def test_a_burst_at_a_pool_that_is_only_starting_is_not_refused():
    with ThreadPool(8, max_queue=1, when_full="raise") as pool:
        gate = threading.Event()
        futures = [pool.submit(gate.wait, DEADLINE) for _ in range(9)]
        with pytest.raises(PoolFull):
            pool.submit(int)
        gate.set()
        assert all(future.result(DEADLINE) for future in futures)


def test_shutdown_wakes_those_who_wait_for_room(gate):
    pool = ThreadPool(1, max_queue=1)
    hold(pool, gate)
    pool.submit(int)
    raised = []

    def late():
        try:
            pool.submit(int)
        except PoolClosed as error:
            raised.append(error)

    thread = threading.Thread(target=late)
    thread.start()
    wait_until(lambda: pool._engine._blocked, DEADLINE, "a caller who waits")
    pool.shutdown(wait=False)
    thread.join(DEADLINE)
    assert len(raised) == 1
    gate.set()
    pool.shutdown()


def test_tasks_that_fill_their_own_pool_do_not_wait_for_ever():
    with ThreadPool(2, max_queue=1) as pool:
        both = threading.Barrier(2)

        def work():
            both.wait(DEADLINE)
            for _ in range(3):
                pool.submit(int)

        errors = [future.exception(DEADLINE) for future in [pool.submit(work) for _ in range(2)]]
        assert any(isinstance(error, PoolFull) and "another pool" in error.hint for error in errors)


async def test_a_loop_is_never_held_up(gate):
    async with ThreadPool(1, max_queue=1) as pool:
        hold(pool, gate)
        awaited = [pool.run(int, n) for n in range(5)]
        gate.set()
        assert await asyncio.gather(*awaited) == list(range(5))


async def test_but_may_be_refused(gate):
    async with ThreadPool(1, max_queue=1, when_full="raise") as pool:
        hold(pool, gate)
        first = pool.run(int, 1)
        with pytest.raises(PoolFull):
            pool.run(int, 2)
        gate.set()
        assert await first == 1


def test_a_map_with_a_buffer_goes_through_a_small_queue():
    with ThreadPool(2, max_queue=1) as pool:
        assert list(pool.map(abs, range(200))) == list(range(200))
