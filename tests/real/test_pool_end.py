"""The end of a pool: every future is settled, nothing is left, no worker comes back."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from concurrent.futures import CancelledError, wait

import pool_tasks as tasks
import pytest
from pool_harness import Strangers, pid_in

from capabilities import DEADLINE
from rookery import ProcessPool
from rookery._os import kernel
from rookery.errors import PoolClosed, UsageError, WorkerDied
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]


def loaded(path, **options):
    """A pool of two with one task at each worker and a hundred that wait; and the futures."""
    pool = ProcessPool(2, min_workers=2, **options)
    running = [pool.submit(tasks.wait_for, path, number) for number in range(2)]
    waiting = [pool.submit(tasks.square, number) for number in range(100)]
    wait_until(lambda: all(one.running() for one in running), DEADLINE, "the beginning of both")
    return pool, running, waiting


def is_over(pool, births):
    status = pool.status()
    assert status.state == "closed"
    assert status.workers.total == 0
    assert (status.tasks.queued, status.tasks.running) == (0, 0)
    assert status.tasks.total == status.tasks.completed + status.tasks.failed + status.tasks.cancelled
    with pytest.raises(PoolClosed):
        pool.submit(tasks.square, 1)
    assert len(births) <= 2


def test_shutdown_does_all_that_was_submitted(tmp_path):
    path, births = tmp_path / "go", []
    pool, running, waiting = loaded(str(path))
    pool.on("worker_created", births.append)
    pool.shutdown(wait=False)
    assert pool.status().state == "closing"
    assert not waiting[-1].done()
    path.touch()
    assert [one.result(DEADLINE) for one in running] == [0, 1]
    assert [one.result(DEADLINE) for one in waiting] == [number * number for number in range(100)]
    pool.shutdown()
    is_over(pool, births)


def test_shutdown_that_cancels_what_waits(tmp_path):
    path, births = tmp_path / "go", []
    pool, running, waiting = loaded(str(path))
    pool.on("worker_created", births.append)
    pool.shutdown(wait=False, cancel_futures=True)
    assert all(one.cancelled() for one in waiting)
    path.touch()
    assert [one.result(DEADLINE) for one in running] == [0, 1]
    pool.shutdown()
    is_over(pool, births)


def test_shutdown_with_a_time_limit_ends_what_runs(tmp_path):
    births = []
    pool, running, waiting = loaded(str(tmp_path / "never"))
    pool.on("worker_created", births.append)
    pool.shutdown(timeout=0.1)
    assert all(one.done() for one in [*running, *waiting])
    for one in running:
        assert isinstance(one.exception(), PoolClosed)
    assert all(one.cancelled() for one in waiting)
    is_over(pool, births)


@pytest.mark.parametrize("retries", [0, 5])
def test_terminate(tmp_path, retries):
    """Also tasks that would be tried again: nobody comes back for them."""
    births = []
    pool, running, waiting = loaded(str(tmp_path / "never"), retries=retries)
    pool.on("worker_created", births.append)
    pool.terminate()
    done, _ = wait([*running, *waiting], DEADLINE)
    assert len(done) == 102
    for one in running:
        assert isinstance(one.exception(), PoolClosed)
    assert all(one.cancelled() for one in waiting)
    pool.shutdown()
    assert births == []
    is_over(pool, births)


def test_terminate_while_workers_start():
    for _ in range(5):
        pool = ProcessPool(4, min_workers=4)
        futures = [pool.submit(tasks.square, number) for number in range(20)]
        pool.terminate()
        pool.shutdown()
        assert all(one.done() for one in futures)


def test_workers_that_die_while_the_pool_ends(tmp_path):
    path, births = tmp_path / "go", []
    pool, running, waiting = loaded(str(path))
    pids = [row.pid for row in pool.status().rows]
    pool.shutdown(wait=False)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    pool.on("worker_created", births.append)
    pool.shutdown()
    assert [type(one.exception()) for one in running] == [WorkerDied] * 2
    assert [one.result() for one in waiting] == [number * number for number in range(100)]
    is_over(pool, births)


def test_what_drain_waited_for_is_settled():
    with ProcessPool(2) as pool:
        for _ in range(300):
            futures = [pool.submit(tasks.square, number) for number in range(3)]
            assert pool.drain(DEADLINE)
            assert all(future.done() for future in futures)


def test_drain_has_a_time_limit_and_the_pool_goes_on(tmp_path):
    path = tmp_path / "go"
    pool, running, _ = loaded(str(path))
    with pool:
        assert not pool.drain(0.01)
        path.touch()
        assert pool.drain(DEADLINE)
        assert all(one.done() for one in running)
        assert pool.submit(tasks.square, 5).result(DEADLINE) == 25


def test_drain_in_a_callback_would_wait_for_itself():
    errors = []
    with ProcessPool(1) as pool:

        def callback(_):
            try:
                pool.drain()
            except UsageError as error:
                errors.append(error)

        future = pool.submit(tasks.nap, 0.05)
        future.add_done_callback(callback)
        future.result(DEADLINE)
        wait_until(lambda: errors, DEADLINE, "the callback")


def test_a_pool_can_be_shut_down_in_a_callback():
    pool = ProcessPool(1)
    future = pool.submit(tasks.nap, 0.05)
    future.add_done_callback(lambda _: pool.shutdown())
    future.result(DEADLINE)
    pool.shutdown()
    assert pool.status().state == "closed"


async def test_drained_and_aclose():
    pool = ProcessPool(2)
    futures = [pool.run(tasks.square, number) for number in range(50)]
    async with asyncio.timeout(DEADLINE):
        await pool.drained()
        assert [await future for future in futures] == [number * number for number in range(50)]
        last = pool.run(tasks.nap, 0.05, "last")
        await pool.aclose()
        assert await last == "last"
    assert pool.status().state == "closed"


async def test_aclose_with_a_time_limit(tmp_path):
    pool, running, waiting = loaded(str(tmp_path / "never"))
    awaited = pool.run(tasks.square, 3)
    async with asyncio.timeout(DEADLINE):
        await pool.aclose(timeout=0.05)
        assert all(one.done() for one in [*running, *waiting])
        with pytest.raises(asyncio.CancelledError):
            await awaited


async def test_aclose_that_is_cancelled(tmp_path):
    pool, running, waiting = loaded(str(tmp_path / "never"))
    closing = asyncio.create_task(pool.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(asyncio.CancelledError):
            await closing
    assert all(one.done() for one in [*running, *waiting])
    assert pool.status().state == "closed"


async def test_a_loop_that_stands_still_in_shutdown():
    """Nobody else reads for the loop's tasks then but the pool's thread."""
    pool = ProcessPool(1)
    assert await pool.run(tasks.square, 2) == 4
    future = pool.run(tasks.nap, 0.05, "done")
    pool.shutdown()
    assert await future == "done"


async def test_a_loop_that_stands_still_in_drain():
    with ProcessPool(1) as pool:
        assert await pool.run(tasks.square, 2) == 4
        future = pool.run(tasks.nap, 0.05, "done")
        assert pool.drain(DEADLINE)
        assert await future == "done"


def test_a_pool_that_is_forgotten_does_its_work_and_goes():
    pool = ProcessPool(1)
    future = pool.submit(tasks.nap, 0.1, "done")
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    assert gone() is None
    assert future.result(DEADLINE) == "done"
    wait_until(
        lambda: not any(thread.name == "rookery-pool" for thread in threading.enumerate()), DEADLINE, "the pool's end"
    )


def test_an_error_that_leads_back_to_its_pool_does_not_keep_it():
    def fail():
        pool = ProcessPool(1)
        future = pool.options(deadline=3600.0).submit(tasks.die, "raise")
        try:
            future.result(DEADLINE)
        except tasks.Trouble as error:
            assert error.__traceback__ is not None  # noqa: PT017 - its frame has the pool
            return weakref.ref(pool)

    gone = fail()
    gc.collect()
    assert gone() is None
    wait_until(
        lambda: not any(thread.name == "rookery-pool" for thread in threading.enumerate()), DEADLINE, "the pool's end"
    )


def test_options_keep_their_pool():
    calls = ProcessPool(1).options(timeout=DEADLINE)
    gc.collect()
    assert calls.submit(tasks.square, 3).result(DEADLINE) == 9
    del calls
    gc.collect()
    wait_until(
        lambda: not any(thread.name == "rookery-pool" for thread in threading.enumerate()), DEADLINE, "the pool's end"
    )


PROGRAM = """
import os, sys, time
sys.path.insert(0, {folder!r})
import pool_tasks as tasks
from rookery import ProcessPool
"""
ENDS = {
    "work that waits is done": (
        "pool = ProcessPool(2)\nfor n in range(20): pool.submit(tasks.mark, sys.argv[1], n)",
        0,
        20,
    ),
    "a loop that is gone": (
        (
            "import asyncio\npool = ProcessPool(1)\nasync def main():\n await pool.run(tasks.square, 1)\n"
            " for n in range(20): pool.run(tasks.mark, sys.argv[1], n)\nasyncio.run(main())"
        ),
        0,
        20,
    ),
    "sys.exit": ("pool = ProcessPool(1)\npool.submit(tasks.mark, sys.argv[1], 1)\nsys.exit(3)", 3, 1),
    "an error": ("pool = ProcessPool(1)\npool.submit(tasks.mark, sys.argv[1], 1)\nraise ValueError(1)", 1, 1),
    "nothing was submitted": ("pool = ProcessPool(4, min_workers=4)", 0, 0),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_end_of_the_program(name, tmp_path):
    work, code, count = ENDS[name]
    log = tmp_path / "log"
    log.touch()
    program = PROGRAM.format(folder=os.path.dirname(tasks.__file__)) + work
    with Strangers():
        ran = subprocess.run(
            [sys.executable, "-c", program, log], capture_output=True, text=True, timeout=DEADLINE, check=False
        )
    assert (ran.returncode, ran.stderr.count("Traceback")) == (code, int(name == "an error")), ran.stderr
    assert len(tasks.marks(log)) == count


def test_a_parent_that_is_killed_leaves_nothing(tmp_path):
    paths = [str(tmp_path / name) for name in ("worker", "grandchild")]
    program = PROGRAM.format(folder=os.path.dirname(tasks.__file__)) + (
        "pool = ProcessPool(2)\npool.submit(tasks.says_and_waits, sys.argv[1])\n"
        "pool.submit(tasks.starts_an_escaped_grandchild, sys.argv[2])\ntime.sleep(600)\n"
    )
    with Strangers():
        parent = subprocess.Popen([sys.executable, "-c", program, *paths])
        pids = [pid_in(path) for path in paths]
        starts = [kernel.start_time(pid) for pid in pids]
        parent.kill()
        parent.wait()
        for pid, start in zip(pids, starts, strict=True):
            wait_until(lambda pid=pid, start=start: not kernel.is_alive(pid, start), DEADLINE, f"the end of {pid}")


def test_cancel_takes_back_what_waits_and_running_ends_what_runs(tmp_path):
    pool, running, waiting = loaded(str(tmp_path / "never"))
    with pool:
        assert waiting[0].cancel()
        with pytest.raises(CancelledError):
            waiting[0].result()
        assert not running[0].cancel()
        assert running[0].running()
        for one in running:
            assert one.cancel(running=True)
            assert one.cancelled()
        assert [one.result(DEADLINE) for one in waiting[1:]] == [number * number for number in range(1, 100)]
        assert not waiting[1].cancel(running=True)
        assert pool.status().tasks.cancelled == 3
