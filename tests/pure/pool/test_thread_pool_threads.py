"""The threads of a pool: how many there are, and what becomes of them."""

from __future__ import annotations

import ctypes
import threading
import time
from concurrent.futures import CancelledError

import pytest

from capabilities import DEADLINE
from rookery.errors import UsageError, WorkerDied, WorkerStartFailed
from rookery.pool import ThreadPool
from rookery.testing import wait_until


def totals(pool):
    return pool.status().workers.total


def held(pool, count):
    """So many tasks that hold a thread each until the gate is opened."""
    gate, running = threading.Event(), threading.Semaphore(0)

    def hold():
        running.release()
        gate.wait(DEADLINE)
        return threading.current_thread().name

    futures = [pool.submit(hold) for _ in range(count)]
    for _ in range(min(count, pool.status().workers.total or count)):
        assert running.acquire(timeout=DEADLINE)
    return gate, futures


def test_none_until_there_is_work_then_as_many_as_tasks_but_no_more_than_the_maximum():
    with ThreadPool(3, min_workers=0) as pool:
        assert totals(pool) == 0
        gate, futures = held(pool, 8)
        assert totals(pool) == 3
        gate.set()
        assert len({future.result(DEADLINE) for future in futures}) == 3


def test_many_callers_do_not_overshoot():
    with ThreadPool(4) as pool:
        most = []
        start = threading.Barrier(8)

        def call():
            start.wait(DEADLINE)
            for _ in range(100):
                pool.submit(int)
                most.append(totals(pool))

        callers = [threading.Thread(target=call) for _ in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert max(most) <= 4
        assert pool.drain(DEADLINE)
        assert pool.status().tasks.completed == 800


def test_the_idle_leave_but_for_the_minimum():
    with ThreadPool(5, min_workers=2, idle_timeout=0.05) as pool:
        gate, _ = held(pool, 5)
        assert totals(pool) == 5
        gate.set()
        wait_until(lambda: totals(pool) == 2, DEADLINE, "three to leave")
        assert pool.submit(int, "1").result(DEADLINE) == 1
        assert totals(pool) == 2


def test_work_and_leaving_do_not_miss_each_other():
    # The timeout is about as long as the pause: each submit may meet a thread that is just leaving.
    with ThreadPool(2, min_workers=0, idle_timeout=0.001) as pool:
        for number in range(300):
            assert pool.submit(int, number).result(DEADLINE) == number
            time.sleep(0.001)


def test_grow_and_resize():
    with ThreadPool(6, min_workers=1) as pool:
        pool.grow(3)
        wait_until(lambda: pool.status().workers.available == 3, DEADLINE, "three threads")
        pool.grow(9)
        wait_until(lambda: pool.status().workers.available == 6, DEADLINE, "six threads")
        pool.resize(1, 2)
        wait_until(lambda: totals(pool) == 2, DEADLINE, "two threads")
        gate, futures = held(pool, 2)
        pool.resize(1, 1)
        gate.set()
        wait_until(lambda: totals(pool) == 1, DEADLINE, "one thread")
        assert all(future.done() for future in futures)
        pool.resize(3, 4)
        wait_until(lambda: totals(pool) == 3, DEADLINE, "three threads")
        with pytest.raises(ValueError, match="greater than 0"):
            pool.resize(0, 0)
        with pytest.raises(UsageError):
            pool.grow(0)


def test_replaced_after_so_many_tasks():
    with ThreadPool(1, max_tasks_per_worker=3) as pool:
        names = [pool.submit(lambda: threading.current_thread().name).result(DEADLINE) for _ in range(9)]
    assert len(set(names)) == 3
    assert names[0] == names[2] != names[3]


def test_replaced_after_so_many_errors_in_a_row():
    told = []
    with ThreadPool(1, max_errors=2) as pool:
        pool.on("worker_exited", told.append)
        for _ in range(2):
            pool.submit(int, "x").exception(DEADLINE)
        pool.submit(int)
        for _ in range(3):
            pool.submit(int, "x").exception(DEADLINE)
        assert pool.submit(int, "3").result(DEADLINE) == 3
        assert [event.reason for event in told] == ["3 errors in a row"]


@pytest.mark.parametrize(("code", "seen"), [(0, 0), (3, 3), (None, 0), ("no", 1)])
def test_a_thread_that_ends_in_the_middle_fails_its_task_only_and_is_replaced(code, seen):
    def leave():
        raise SystemExit(code)

    with ThreadPool(1) as pool:
        first, second = pool.submit(leave), pool.submit(int, "2")
        with pytest.raises(WorkerDied) as caught:
            first.result(DEADLINE)
        assert caught.value.code == seen
        assert isinstance(caught.value.__cause__, SystemExit)
        assert second.result(DEADLINE) == 2
        assert pool.status().rows[0].restarts == 1


def test_an_error_thrown_into_an_idle_thread_costs_no_task():
    with ThreadPool(1, min_workers=1) as pool:
        number = pool.submit(threading.get_ident).result(DEADLINE)
        wait_until(lambda: pool.status().workers.available == 1, DEADLINE, "an idle thread")
        throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
        assert throw(ctypes.c_ulong(number), ctypes.py_object(MemoryError)) == 1
        # It is thrown when the thread runs again, which may be in the middle of this task.
        first = pool.submit(threading.get_ident)
        assert first.exception(DEADLINE) is None or isinstance(first.exception(), (WorkerDied, MemoryError))
        assert pool.submit(threading.get_ident).result(DEADLINE) is not None


def test_the_loop_of_a_thread_breaks_under_a_task(monkeypatch):
    with ThreadPool(1) as pool:
        engine = pool._engine
        finish = type(engine).finish
        calls = []

        def broken(self, member, task, value, error):
            calls.append(1)
            if len(calls) == 1:
                raise MemoryError("no more")
            finish(self, member, task, value, error)

        monkeypatch.setattr(type(engine), "finish", broken)
        with pytest.raises(WorkerDied, match="no more"):
            pool.submit(int).result(DEADLINE)
        assert pool.submit(int, "3").result(DEADLINE) == 3


def test_the_initializer_runs_in_each_thread():
    local = threading.local()

    def prepare(value):
        local.value = value

    with ThreadPool(3, initializer=prepare, initargs=(7,)) as pool:
        assert set(pool.map(lambda _: local.value, range(50))) == {7}


def test_an_initializer_that_fails_fails_the_tasks_and_is_no_storm():
    calls = []

    def prepare():
        calls.append(1)
        raise ValueError("no database")

    with ThreadPool(4, initializer=prepare) as pool:
        futures = [pool.submit(int) for _ in range(5)]
        with pytest.raises(WorkerStartFailed, match="no database") as caught:
            futures[0].result(DEADLINE)
        assert isinstance(caught.value.__cause__, ValueError)
        assert all(isinstance(future.exception(DEADLINE), WorkerStartFailed) for future in futures)
        assert len(calls) <= 8


def test_an_initializer_that_fails_once():
    calls = []

    def prepare():
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("not yet")

    with ThreadPool(1, initializer=prepare) as pool:
        assert pool.submit(int, "1").result(DEADLINE) == 1


def test_an_initializer_that_hangs():
    gate = threading.Event()
    with ThreadPool(1, initializer=gate.wait, initargs=(DEADLINE,), start_timeout=0.05) as pool:
        with pytest.raises(WorkerStartFailed, match=r"not done within 0\.05 s"):
            pool.submit(int).result(DEADLINE)
        gate.set()
        wait_until(lambda: not pool.status().workers.stopping, DEADLINE, "the threads to return")
        assert pool.submit(int, "1").result(DEADLINE) == 1


def test_the_system_has_no_threads_left(monkeypatch):
    with ThreadPool(2) as pool:

        def refuse(self):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            future = pool.submit(int)
            with pytest.raises(WorkerStartFailed, match="start new thread"):
                future.result(DEADLINE)
        assert pool.submit(int, "1").result(DEADLINE) == 1


def test_and_so_none_for_a_clock(monkeypatch):
    with ThreadPool(1) as pool:
        assert pool.submit(int, "1").result(DEADLINE) == 1

        def refuse(self):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            for limit in ("timeout", "deadline"):
                with pytest.raises(WorkerStartFailed, match="time limit"):
                    pool.options(**{limit: 1}).submit(int)
            assert pool.submit(int, "2").result(DEADLINE) == 2
        assert pool.options(timeout=DEADLINE).submit(int, "3").result(DEADLINE) == 3
        assert pool.status().tasks.total == 3


def test_tasks_that_wait_for_each_other_are_told_of(monkeypatch, caplog):
    monkeypatch.setattr("rookery.pool.threads.core._STUCK_AFTER", 0.1)
    with ThreadPool(2, name="p") as pool:
        both, inner = threading.Barrier(2), []

        def together():
            both.wait(DEADLINE)
            inner.append(pool.submit(int, "1"))
            return inner[-1].result(DEADLINE)

        futures = [pool.submit(together) for _ in range(2)]
        wait_until(lambda: "allow more max_workers" in caplog.text, DEADLINE, "the warning")
        for future in inner:  # whoever is free again may take the other
            future.cancel()
        assert all(isinstance(future.exception(DEADLINE), (CancelledError, type(None))) for future in futures)
