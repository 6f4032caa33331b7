"""The end of a thread pool: every future is settled, and no thread stays."""

from __future__ import annotations

import gc
import random
import threading
from concurrent.futures import CancelledError, wait

import pytest

from capabilities import DEADLINE
from rookery.errors import PoolClosed, PoolError
from rookery.pool import ThreadPool
from rookery.testing import wait_until


def threads_of(name):
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_with_waits_for_everything():
    done = []
    with ThreadPool(2, name="all") as pool:
        for number in range(100):
            pool.submit(done.append, number)
    assert sorted(done) == list(range(100))
    assert not threads_of("all")


def test_shutdown_can_leave_what_has_not_begun():
    gate = threading.Event()
    pool = ThreadPool(1)
    first = pool.submit(gate.wait, DEADLINE)
    wait_until(first.running, DEADLINE, "the first task")
    others = [pool.submit(int) for _ in range(5)]
    pool.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in others)
    with pytest.raises(CancelledError):
        others[0].result(DEADLINE)
    with pytest.raises(PoolClosed):
        pool.submit(int)
    assert pool.status().state == "closing"
    gate.set()
    pool.shutdown()
    assert first.result(0) is True


def test_drain_waits_and_the_pool_goes_on():
    gate = threading.Event()
    with ThreadPool(2) as pool:
        assert pool.drain(0)
        futures = [pool.submit(gate.wait, DEADLINE) for _ in range(5)]
        assert pool.drain(0.02) is False
        gate.set()
        assert pool.drain(DEADLINE)
        assert all(future.done() for future in futures)
        assert pool.submit(int, "1").result(DEADLINE) == 1


def test_a_task_cannot_wait_for_its_own_pool():
    with ThreadPool(1) as pool:
        with pytest.raises(PoolError, match="itself"):
            pool.submit(pool.drain).result(DEADLINE)
        with pytest.raises(PoolError, match="itself"):
            pool.submit(pool.shutdown).result(DEADLINE)


def test_callbacks_of_futures_may_use_the_pool():
    seen = []
    done = threading.Event()
    with ThreadPool(1) as pool:

        def again(future):
            seen.append(future.result())
            if len(seen) < 50:
                pool.submit(int, len(seen)).add_done_callback(again)
            else:
                done.set()

        pool.submit(int, 0).add_done_callback(again)
        assert done.wait(DEADLINE)
    assert seen == list(range(50))


def test_a_pool_that_nobody_has_any_more_does_what_it_was_given():
    done = []
    pool = ThreadPool(2, name="forgotten")
    for number in range(20):
        pool.submit(done.append, number)
    del pool
    gc.collect()
    wait_until(lambda: not threads_of("forgotten"), DEADLINE, "the threads to leave")
    assert sorted(done) == list(range(20))


def test_a_pool_in_a_circle_is_forgotten_too():
    pool = ThreadPool(2, name="circle")
    holder = [pool]
    holder.append(holder)
    pool.submit(int).result(DEADLINE)
    del pool, holder
    gc.collect()
    wait_until(lambda: not threads_of("circle"), DEADLINE, "the threads to leave")


def test_the_clock_leaves_with_the_pool():
    with ThreadPool(1, name="clocked") as pool:
        assert pool.options(timeout=DEADLINE).submit(int, "1").result(DEADLINE) == 1
        assert any(thread.name == "clocked-clock" for thread in threading.enumerate())
    assert not threads_of("clocked")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("end", ["shutdown", "cancel", "terminate", "timeout"])
def test_every_future_is_settled_whatever_goes_on(seed, end):
    rng = random.Random(f"{seed} {end}")
    pool = ThreadPool(3, max_tasks_per_worker=7, max_errors=2, name=f"chaos-{seed}-{end}")
    futures, stop = [], threading.Event()
    pause = threading.Event()

    def leave():
        raise SystemExit

    def submit(rng):
        while not stop.is_set():
            work = rng.choice([int, leave, lambda: 1 / 0, lambda: pause.wait(0.002)])
            limit = rng.choice([None, None, 0.001])
            try:
                future = pool.options(timeout=limit, priority=rng.randrange(3), retries=rng.randrange(2)).submit(work)
            except PoolClosed:
                return
            futures.append(future)
            if rng.random() < 0.2:
                future.cancel(running=rng.random() < 0.5)

    callers = [threading.Thread(target=submit, args=(random.Random(rng.random()),)) for _ in range(3)]
    for caller in callers:
        caller.start()
    wait_until(lambda: len(futures) > 150, DEADLINE, "150 tasks")
    if end == "shutdown":
        pool.shutdown()
    elif end == "cancel":
        pool.shutdown(cancel_futures=True)
    elif end == "timeout":
        pool.shutdown(timeout=0.001)
    else:
        pool.terminate()
    stop.set()
    for caller in callers:
        caller.join(DEADLINE)
    assert not wait(futures, timeout=DEADLINE).not_done
    pool.shutdown()
    wait_until(lambda: not threads_of(pool.name + "-"), DEADLINE, "all threads to leave")
    tasks = pool.status().tasks
    assert tasks.total == len(futures) == tasks.completed + tasks.failed + tasks.cancelled
