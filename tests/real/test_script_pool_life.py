"""Pools of script workers grow, shrink and end: every future is settled, and nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from concurrent.futures import CancelledError

import pytest
from script_pools import LANGUAGES, PROGRAMS, events_of, pool_of, reap

from capabilities import DEADLINE
from rookery._os import kernel
from rookery.errors import PoolClosed
from rookery.pool import ProcessPool
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(4 * DEADLINE)]


@pytest.fixture(params=LANGUAGES)
def language(request):
    return request.param


def test_shutdown_does_what_was_taken_on(language):
    pool = ProcessPool(2, **language)
    futures = [pool.submit("sleep", 0.01) for _ in range(20)]
    pool.shutdown()
    assert [future.result(0) for future in futures] == [0.01] * 20
    with pytest.raises(PoolClosed):
        pool.submit("echo")
    status = pool.status()
    assert (status.state, status.workers.total) == ("closed", 0)


def test_shutdown_may_cancel_what_waits(language):
    pool = ProcessPool(1, **language)
    created = events_of(pool, "worker_created")
    futures = [pool.submit("sleep", 0.6) for _ in range(10)]
    wait_until(futures[0].running, DEADLINE, "the first task")
    pool.shutdown(cancel_futures=True)
    assert futures[0].result(0) == 0.6
    assert all(future.cancelled() for future in futures[1:])
    assert len(created) <= 1


def test_shutdown_with_a_limit_kills_what_still_runs(language):
    pool = ProcessPool(1, **language)
    futures = [pool.submit("sleep", 600) for _ in range(3)]
    wait_until(futures[0].running, DEADLINE, "the first task")
    pool.shutdown(timeout=0.1)
    assert isinstance(futures[0].exception(0), PoolClosed)
    for future in futures[1:]:
        with pytest.raises(CancelledError):
            future.result(0)


def test_terminate_settles_every_future(language):
    pool = ProcessPool(2, **language)
    futures = [pool.submit("sleep", 600) for _ in range(10)]
    wait_until(lambda: any(future.running() for future in futures), DEADLINE, "a task")
    pool.terminate()
    pool.shutdown()
    assert all(future.done() for future in futures)


def test_closing_while_workers_start():
    for _ in range(5):
        pool = ProcessPool(2, script=PROGRAMS / "tasks.py")
        future = pool.submit("echo", 1)
        pool.shutdown()
        assert future.result(0) == 1
    ProcessPool(2, script=PROGRAMS / "tasks.py").shutdown()
    pool = ProcessPool(2, script=PROGRAMS / "tasks.py")
    future = pool.submit("echo", 1)
    pool.terminate()
    pool.shutdown()
    assert future.done()


def test_an_interrupted_shutdown_that_outlasts_a_stubborn_worker():
    script = {"script": PROGRAMS / "odd.js", "script_args": ["ignores"]}
    with pool_of(script, 1, graceful_timeout=0.3) as pool:
        assert pool.submit("any", 1).result(DEADLINE) == 1
    assert pool.status().workers.total == 0


async def test_closing_in_an_event_loop(language):
    async with asyncio.timeout(DEADLINE):
        pool = ProcessPool(2, **language)
        running = pool.run("sleep", 0.1)
        await pool.aclose()
        assert running.result() == 0.1


def test_drain_waits_for_everything(language):
    with pool_of(language, 1) as pool:
        futures = [pool.submit("sleep", 0.05) for _ in range(3)]
        assert not pool.drain(0.01)
        assert pool.drain(DEADLINE)
        assert all(future.done() for future in futures)
        asyncio.run(pool.drained())


def test_more_and_fewer_workers(language):
    with ProcessPool(3, min_workers=1, idle_timeout=None, **language) as pool:
        wait_until(lambda: pool.status().workers.available == 1, DEADLINE, "one worker")
        pool.grow(1)
        wait_until(lambda: pool.status().workers.available == 2, DEADLINE, "two workers")
        pool.resize(1, 1)
        wait_until(lambda: pool.status().workers.total == 1, DEADLINE, "one worker again")
        pool.resize(0, 2)
        assert list(pool.map("echo", range(10))) == list(range(10))
        assert pool.status().workers.total <= 2


def test_idle_workers_leave(language):
    with ProcessPool(3, min_workers=1, idle_timeout=0.1, **language) as pool:
        pool.grow(2)
        wait_until(lambda: pool.status().workers.total == 3, DEADLINE, "three workers")
        wait_until(lambda: pool.status().workers.total == 1, DEADLINE, "the end of those that idle")
        exited = events_of(pool, "worker_exited")
        assert pool.submit("echo", 1).result(DEADLINE) == 1
        assert not exited


def test_events_tell_the_life_of_workers_and_tasks(language):
    with ProcessPool(1, min_workers=0, **language) as pool:
        events = events_of(pool, "*")
        pool.options(on_progress=lambda _: None).submit("count", 1).result(DEADLINE)
        pool.submit("leave", 0).exception(DEADLINE)
        pool.submit("echo").result(DEADLINE)
    kinds = [event.kind for event in events]
    for task in ("count (number 1)", "leave (number 2)", "echo (number 3)"):
        of_task = [event.kind for event in events if event.task == task]
        progress = ["task_progress"] if task.startswith("count") else []
        end = "task_failed" if task.startswith("leave") else "task_completed"
        assert of_task == ["task_queued", "task_started", *progress, end]
    assert kinds.count("worker_created") == kinds.count("worker_exited") == kinds.count("worker_ready") == 2
    assert kinds.count("worker_replaced") == 1


@pytest.mark.parametrize("script", ["tasks.py", pytest.param("tasks.js", marks=LANGUAGES[2].marks)])
def test_a_forked_copy_has_an_empty_pool_and_a_forgotten_pool_ends(script):
    ours = set(kernel.children(os.getpid()))
    ran = subprocess.run(
        [sys.executable, PROGRAMS / "forgets.py", PROGRAMS / script],
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
        check=False,
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("own\nalive\ndone 0.1\n", "", 0)
    reap(ours)


def test_nothing_outlives_the_pool_s_process():
    code = (
        "import sys, time; from rookery.pool import ProcessPool\n"
        "pool = ProcessPool(2, script=sys.argv[1])\n"
        "print(pool.submit('pid').result(), pool.submit('child').result(), flush=True)\n"
        "pool.submit('sleep', 600).result()\n"
    )
    ours = set(kernel.children(os.getpid()))
    with subprocess.Popen(
        [sys.executable, "-c", code, PROGRAMS / "tasks.py"], stdout=subprocess.PIPE, text=True
    ) as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE)
    reap(ours)
    assert not any(map(kernel.is_alive, pids))
