"""A worker that dies fails its task and no other: every way to die, at every place."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path

import pool_tasks as tasks
import pytest
from pool_harness import pid_in

from capabilities import DEADLINE
from rookery import ProcessPool
from rookery._os import kernel
from rookery.errors import ResultNotSent, TaskNotSent, TaskTimeout, WorkerDied
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]


DEATHS = [
    ("SIGKILL", None, "SIGKILL"),
    ("SIGSEGV", None, "SIGSEGV"),
    ("segv", None, "SIGSEGV"),
    ("abort", None, "SIGABRT"),
    ("SIGBUS", None, "SIGBUS"),
    ("_exit 0", 0, None),
    ("_exit 1", 1, None),
    ("_exit 77", 77, None),
]
RAISED = [
    ("raise", tasks.Trouble),
    ("SystemExit 0", SystemExit),
    ("SystemExit 3", SystemExit),
    ("KeyboardInterrupt", KeyboardInterrupt),
    ("MemoryError", MemoryError),
    ("RecursionError", RecursionError),
]


def kill_one(pool, killed):
    """One that has done something before: who dies as soon as it is ready is a crash loop."""
    for row in pool.status().rows:
        start = kernel.start_time(row.pid) if row.tasks and row.pid not in killed else None
        if start is not None and kernel.signal_process(row.pid, start, signal.SIGKILL):
            killed.add(row.pid)
            return


@pytest.mark.parametrize(("how", "code", "number"), DEATHS)
def test_a_death_fails_its_task_alone(how, code, number):
    with ProcessPool(2) as pool:
        others = [pool.submit(tasks.square, one) for one in range(100)]
        victim = pool.options(label="the victim").submit(tasks.die, how)
        later = [pool.submit(tasks.square, one) for one in range(100)]
        with pytest.raises(WorkerDied, match="the victim") as caught:
            victim.result(DEADLINE)
        assert (caught.value.code, caught.value.signal) == (code, number)
        assert caught.value.pid > 0
        assert pickle.loads(pickle.dumps(caught.value)).pid == caught.value.pid
        assert [one.result(DEADLINE) for one in [*others, *later]] == [one * one for one in range(100)] * 2
        status = pool.status()
        assert (status.tasks.failed, status.tasks.completed) == (1, 200)


@pytest.mark.parametrize(("how", "kind"), RAISED)
def test_what_a_task_raises_is_its_result_and_the_worker_lives(how, kind):
    with ProcessPool(1) as pool:
        pid = pool.submit(tasks.me).result(DEADLINE)
        with pytest.raises(kind) as caught:
            pool.submit(tasks.die, how).result(DEADLINE)
        if kind is not RecursionError:
            assert "in die" in str(caught.value.__cause__)
        assert pool.submit(tasks.me).result(DEADLINE) == pid


def test_a_result_that_cannot_be_pickled():
    with ProcessPool(1) as pool:
        pid = pool.submit(tasks.me).result(DEADLINE)
        with pytest.raises(ResultNotSent, match="lock"):
            pool.submit(tasks.gives_lambda).result(DEADLINE)
        assert pool.submit(tasks.me).result(DEADLINE) == pid


@pytest.mark.parametrize(
    ("how", "kind"),
    [("raise", ResultNotSent), ("SystemExit 3", SystemExit), ("SIGKILL", WorkerDied), ("_exit 5", WorkerDied)],
)
def test_pickling_the_result_does_something_bad(how, kind):
    with ProcessPool(1) as pool:
        with pytest.raises(kind):
            pool.submit(tasks.gives, "pickling", how, os.getpid()).result(DEADLINE)
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9


@pytest.mark.parametrize("how", ["raise", "exit", "interrupt"])
def test_a_result_that_cannot_be_unpickled_here(how):
    with ProcessPool(1) as pool:
        before = pool.submit(tasks.square, 2)
        bad = pool.submit(tasks.gives_trouble_for_the_parent, how)
        after = pool.submit(tasks.square, 3)
        with pytest.raises(ResultNotSent):
            bad.result(DEADLINE)
        assert (before.result(DEADLINE), after.result(DEADLINE)) == (4, 9)
        assert pool.status().tasks.failed == 1
        assert pool.status().tasks.completed == 2


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("raise", TaskNotSent),
        ("SystemExit 3", TaskNotSent),
        ("SIGKILL", WorkerDied),
        ("segv", WorkerDied),
        ("_exit 4", WorkerDied),
    ],
)
def test_an_argument_whose_unpickling_does_something_bad(how, kind):
    with ProcessPool(1) as pool:
        with pytest.raises(kind):
            pool.submit(tasks.me, tasks.Crashes("unpickling there", how)).result(DEADLINE)
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9


def test_what_cannot_be_pickled_here():
    with ProcessPool(1) as pool:
        future = pool.submit(tasks.square, threading.Lock())
        with pytest.raises(TaskNotSent, match="cannot pickle"):
            future.result(DEADLINE)
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9


@pytest.mark.timeout(6 * DEADLINE)
def test_2000_tasks_with_a_hundred_kills(tmp_path):
    """None is lost, none is done twice, and each kill fails at most the one task that ran."""
    log = str(tmp_path / "log")
    killed = set()
    deaths = []
    with ProcessPool(2, max_tasks_per_worker=None) as pool:
        pool.on("worker_exited", deaths.append)
        futures = [pool.submit(tasks.mark, log, number) for number in range(2000)]
        end = time.monotonic() + 3 * DEADLINE
        while len(killed) < 100 and time.monotonic() < end:
            if all(future.done() for future in futures):
                futures += [pool.submit(tasks.mark, log, number) for number in range(len(futures), len(futures) + 200)]
            kill_one(pool, killed)
        assert len(killed) == 100
        assert pool.drain(DEADLINE)
        assert all(future.done() for future in futures)
        errors = [future.exception() for future in futures]
        failed = [error for error in errors if error is not None]
        assert all(isinstance(error, WorkerDied) and error.signal == "SIGKILL" for error in failed)
        assert len(failed) <= len(killed)
        done = tasks.marks(log)
        assert len(done) == len(set(done)), "a task was begun twice"
        for number, (future, error) in enumerate(zip(futures, errors, strict=True)):
            if error is None:
                assert future.result() == number
        missing = set(range(len(futures))) - set(done)
        assert missing <= {number for number, error in enumerate(errors) if error is not None}
        began = time.monotonic()
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9
        assert time.monotonic() - began < DEADLINE / 2
        status = pool.status()
        assert status.tasks.failed == len(failed)
        assert status.tasks.completed == len(futures) - len(failed) + 1
    assert len(deaths) >= 100


def test_with_retries_kills_fail_nothing(tmp_path):
    log = str(tmp_path / "log")
    with ProcessPool(2, retries=200, max_tasks_per_worker=None) as pool:
        futures = [pool.submit(tasks.mark, log, number) for number in range(500)]
        killed = set()
        while len(killed) < 30 and not all(future.done() for future in futures):
            kill_one(pool, killed)
        assert [future.result(DEADLINE) for future in futures] == list(range(500))
        assert set(tasks.marks(log)) == set(range(500))


def test_a_killed_worker_is_replaced_at_once(tmp_path):
    path = str(tmp_path / "pid")
    with ProcessPool(1) as pool:
        victim = pool.submit(tasks.says_and_waits, path)
        waiting = pool.submit(tasks.me)
        pid = pid_in(path)
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        assert waiting.result(DEADLINE) != pid
        assert time.monotonic() - killed < DEADLINE / 4
        error = victim.exception(DEADLINE)
        assert isinstance(error, WorkerDied)
        assert (error.pid, error.signal) == (pid, "SIGKILL")
        assert "says_and_waits" in error.task
        assert "says_and_waits" in str(error)


def test_a_stopped_worker_is_ended_by_the_time_limit(tmp_path):
    path = str(tmp_path / "pid")
    with ProcessPool(1) as pool:
        victim = pool.options(timeout=1.0).submit(tasks.says_and_waits, path)
        os.kill(pid_in(path), signal.SIGSTOP)
        with pytest.raises(TaskTimeout, match="says_and_waits"):
            victim.result(DEADLINE)
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9


def test_a_stopped_worker_does_not_hold_up_the_end(tmp_path):
    path = str(tmp_path / "pid")
    pool = ProcessPool(1)
    victim = pool.submit(tasks.says_and_waits, path)
    os.kill(pid_in(path), signal.SIGSTOP)
    pool.shutdown(timeout=0.1)
    assert victim.done()


def test_a_storm_of_time_limits():
    with ProcessPool(4, min_workers=4) as pool:
        hanging = [pool.options(timeout=0.01).submit(tasks.nap, 60) for _ in range(100)]
        quick = [pool.submit(tasks.square, number) for number in range(100)]
        assert [future.result(3 * DEADLINE) for future in quick] == [number * number for number in range(100)]
        for future in hanging:
            assert isinstance(future.exception(3 * DEADLINE), TaskTimeout)
        status = pool.status()
        assert (status.tasks.timed_out, status.tasks.failed, status.tasks.completed) == (100, 100, 100)
        assert status.success_rate == 0.5


def test_sigterm_loses_no_work(tmp_path):
    """A worker that is asked to end from outside finishes its task; what it had ahead goes to another."""
    path, go = str(tmp_path / "pid"), str(tmp_path / "go")
    with ProcessPool(1) as pool:
        running = pool.submit(tasks.wait_for, go, "finished")
        ahead = [pool.submit(tasks.square, number) for number in range(50)]
        wait_until(running.running, DEADLINE, "the task's beginning")
        os.kill(pool.status().rows[0].pid, signal.SIGTERM)
        Path(go).touch()
        assert running.result(DEADLINE) == "finished"
        assert [future.result(DEADLINE) for future in ahead] == [number * number for number in range(50)]
        assert pool.status().tasks.failed == 0
    assert not os.path.exists(path)
