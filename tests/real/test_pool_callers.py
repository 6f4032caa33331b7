"""Who submits: threads, event loops, callbacks, an interrupted main thread."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import as_completed, wait

import pool_more_tasks
import pool_tasks as tasks
import pytest
from pool_harness import Strangers

from capabilities import DEADLINE
from rookery import ProcessPool
from rookery.errors import TaskTimeout
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]


def test_twenty_threads_never_grow_it_beyond_its_maximum():
    most, births = 0, []
    with ProcessPool(3, min_workers=1) as pool:
        pool.on("worker_created", births.append)
        results = {}

        def submit(thread):
            results[thread] = [pool.submit(tasks.nap, 0.001, thread * 100 + number) for number in range(50)]

        threads = [threading.Thread(target=submit, args=(number,)) for number in range(20)]
        for one in threads:
            one.start()
        while not pool.drain(0.0) or any(one.is_alive() for one in threads):
            most = max(most, pool.status().workers.total)
        for one in threads:
            one.join()
        for thread, futures in results.items():
            assert [future.result(DEADLINE) for future in futures] == [thread * 100 + number for number in range(50)]
    assert most <= 3
    assert len(births) <= 3


def test_submit_in_done_callbacks():
    done = threading.Event()
    values = []
    with ProcessPool(1) as pool:

        def again(future):
            values.append(future.result())
            if values[-1] < 50:
                pool.submit(tasks.nap, 0, values[-1] + 1).add_done_callback(again)
            else:
                done.set()

        pool.submit(tasks.nap, 0, 0).add_done_callback(again)
        assert done.wait(DEADLINE)
    assert values == list(range(51))


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, ValueError, asyncio.CancelledError, GeneratorExit])
def test_a_callback_that_raises_disturbs_nobody(kind):
    def fail(_):
        raise kind

    with ProcessPool(1) as pool:
        future = pool.submit(tasks.nap, 0.05, 1)
        future.add_done_callback(fail)
        assert future.result(DEADLINE) == 1
        told = pool.options(on_progress=fail).submit(pool_more_tasks.tells, [1, 2])
        assert told.result(DEADLINE) == "told"
        waiting = pool.submit(tasks.nap, 60)
        behind = pool.submit(tasks.square, 1)
        behind.add_done_callback(fail)
        pool.shutdown(wait=False, cancel_futures=True)
        waiting.cancel(running=True)
        assert behind.done()


def test_submit_in_progress_callbacks():
    children = []
    with ProcessPool(2) as pool:
        calls = pool.options(on_progress=lambda value: children.append(pool.submit(tasks.square, value)))
        assert calls.submit(pool_more_tasks.tells, list(range(20))).result(DEADLINE) == "told"
        assert [child.result(DEADLINE) for child in children] == [number * number for number in range(20)]


def test_progress_comes_in_order_and_before_the_end():
    heard = []
    with ProcessPool(2, min_workers=2) as pool:
        for run in range(20):
            calls = pool.options(on_progress=lambda value, run=run: heard.append((run, value)))
            futures = [calls.submit(pool_more_tasks.tells, list(range(30)))]
            futures[0].add_done_callback(lambda _, run=run: heard.append((run, "end")))
            futures += [pool.submit(tasks.square, number) for number in range(100)]
            wait(futures, DEADLINE)
            wait_until(lambda run=run: heard and heard[-1] == (run, "end"), DEADLINE, "the end")
            assert heard[-31:] == [(run, value) for value in [*range(30), "end"]]


def test_wait_and_as_completed():
    with ProcessPool(2) as pool:
        futures = [pool.submit(tasks.square, number) for number in range(100)]
        assert {future.result() for future in as_completed(futures, DEADLINE)} == {number**2 for number in range(100)}
        assert wait(futures, DEADLINE).not_done == set()


def test_one_loop_after_the_other():
    async def work(pool, base):
        return await asyncio.gather(*(pool.run(tasks.square, base + number) for number in range(20)))

    with ProcessPool(2) as pool:
        for base in range(10):
            assert asyncio.run(work(pool, base)) == [(base + number) ** 2 for number in range(20)]
            assert pool.submit(tasks.square, base).result(DEADLINE) == base**2


def test_a_loop_that_is_closed_with_tasks_pending(tmp_path):
    go = tmp_path / "go"

    async def leave(pool):
        assert await pool.run(tasks.square, 2) == 4
        pool.run(tasks.wait_for, str(go))
        for number in range(20):
            pool.run(tasks.square, number)

    with ProcessPool(1) as pool:
        asyncio.run(leave(pool))
        go.touch()
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9
        assert pool.drain(DEADLINE)
        asyncio.run(leave(pool))


def test_several_loops_at_once():
    results = {}

    def run(pool, base):
        async def work():
            return [await pool.run(tasks.square, base + number) for number in range(50)]

        results[base] = asyncio.run(work())

    with ProcessPool(2) as pool:
        threads = [threading.Thread(target=run, args=(pool, base)) for base in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(DEADLINE)
    assert results == {base: [(base + number) ** 2 for number in range(50)] for base in range(8)}


def test_a_blocked_loop_holds_up_nobody_else():
    blocked, go = threading.Event(), threading.Event()
    found = []

    async def block(pool):
        future = pool.run(tasks.square, 2)
        await asyncio.sleep(0)
        blocked.set()
        go.wait(DEADLINE)
        found.append(await future)

    with ProcessPool(2) as pool:
        thread = threading.Thread(target=lambda: asyncio.run(block(pool)))
        thread.start()
        assert blocked.wait(DEADLINE)
        assert [pool.submit(tasks.square, number).result(DEADLINE) for number in range(20)] == [
            number**2 for number in range(20)
        ]
        with pytest.raises(TaskTimeout):
            pool.options(timeout=0.05).submit(tasks.nap).result(DEADLINE)
        go.set()
        thread.join(DEADLINE)
    assert found == [4]


async def test_cancelling_an_await_ends_the_task():
    with ProcessPool(1) as pool:
        await pool.run(tasks.square, 1)
        for _ in range(3):
            task = asyncio.ensure_future(pool.run(tasks.nap, 60))
            while pool.status().workers.busy == 0:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.wait_for(pool.run(tasks.square, 3), DEADLINE) == 9
        assert pool.status().tasks.cancelled == 3


async def test_a_timeout_of_asyncio_ends_the_task():
    with ProcessPool(1) as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pool.run(tasks.nap, 60)
        assert await asyncio.wait_for(pool.run(tasks.square, 3), DEADLINE) == 9


def interrupted(future):
    os.kill(os.getpid(), signal.SIGINT)
    future.result(DEADLINE)


INTERRUPTED = """
import os, signal, sys, threading, time
sys.path.insert(0, {folder!r})
import pool_tasks as tasks
from rookery import ProcessPool

def interrupt():
    for _ in range(80):
        time.sleep(0.001 + 0.004 * (_ % 3))
        if not on:
            continue
        os.kill(os.getpid(), signal.SIGINT)

on = []
count = [0]
with ProcessPool(2) as pool:
    pool.submit(tasks.square, 1).result()
    thread = threading.Thread(target=interrupt)
    thread.start()
    futures = []
    while thread.is_alive():
        try:
            on.append(1)
            try:
                {work}
            finally:
                on.clear()
        except KeyboardInterrupt:
            count[0] += 1
    on.clear()
    while True:
        try:
            thread.join()
            break
        except KeyboardInterrupt:
            pass
    assert pool.drain(20), pool.status()
    assert all(future.done() for future in futures)
    status = pool.status()
    assert status.tasks.queued == status.tasks.running == 0, status
    assert pool.submit(tasks.square, 5).result(20) == 25
    assert status.tasks.failed == 0, status
    for future in futures:
        assert future.cancelled() or future.result() == 9
print("interrupted" if count[0] > 8 else count)
"""
WORKS = {
    "submit": "futures.append(pool.submit(tasks.square, 3))",
    "result": "futures.append(pool.submit(tasks.nap, 0.01, 9)); futures[-1].result()",
    "map": "list(pool.map(tasks.square, range(200)))",
    "cancel": "futures.append(pool.submit(tasks.square, 3)); futures[-1].cancel()",
}


@pytest.mark.parametrize("name", WORKS)
def test_ctrl_c_in_the_main_thread_loses_nothing(name):
    program = INTERRUPTED.format(folder=os.path.dirname(tasks.__file__), work=WORKS[name])
    with Strangers():
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=2 * DEADLINE, check=False
        )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "interrupted"


def test_ctrl_c_in_the_terminal_does_not_reach_the_workers():
    with ProcessPool(1) as pool:
        assert pool.submit(os.getpgid, 0).result(DEADLINE) != os.getpgid(0)
        future = pool.submit(tasks.nap, 60)
        with pytest.raises(KeyboardInterrupt):
            interrupted(future)
        pool.terminate()
