"""Tasks that run for too long: their threads cannot be ended, so they are given up."""

from __future__ import annotations

import threading

import pytest

from capabilities import DEADLINE
from rookery.errors import PoolClosed, TaskTimeout
from rookery.pool import ThreadPool
from rookery.testing import wait_until


class Gate:
    """Holds tasks until the test opens it, and counts those that are in it and that went through."""

    def __init__(self):
        self._open = threading.Event()
        self._lock = threading.Lock()
        self.came = 0
        self.went = 0

    def __call__(self, value=None):
        with self._lock:
            self.came += 1
        self._open.wait(DEADLINE)
        with self._lock:
            self.went += 1
        return value

    def open(self):
        self._open.set()

    def wait_for(self, count):
        wait_until(lambda: self.came >= count, DEADLINE, f"{count} tasks at the gate")


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open()
    wait_until(lambda: gate.went == gate.came, DEADLINE, "all to leave the gate")


def test_a_task_over_its_time_fails_at_once_and_its_late_result_is_dropped(gate):
    told = []
    with ThreadPool(1, name="p") as pool:
        pool.on("*", told.append)
        future = pool.options(timeout=0.05, label="slow").submit(gate, "late")
        with pytest.raises(TaskTimeout) as caught:
            future.result(DEADLINE)
        assert (caught.value.task, caught.value.after) == ("slow", 0.05)
        assert isinstance(caught.value, TimeoutError)
        assert pool.submit(int, "5").result(DEADLINE) == 5  # by another thread
        status = pool.status()
        assert (status.tasks.timed_out, status.tasks.failed, status.tasks.completed) == (1, 1, 1)
        assert (status.workers.total, status.workers.stopping) == (2, 1)
        assert [(row.state, row.task, row.restarts) for row in status.rows][-1] == ("stopping", "slow", 0)
        assert status.rows[0].restarts == 1
        gate.open()
        wait_until(lambda: pool.status().workers.total == 1, DEADLINE, "the thread to leave")
        assert isinstance(future.exception(), TaskTimeout)
        assert pool.status().tasks.completed == 1
    kinds = [event.kind for event in told]
    assert "task_timed_out" in kinds
    assert kinds.count("worker_replaced") == 1
    assert {"task_failed"}.isdisjoint(kinds)


def test_a_task_within_its_time_is_left_alone():
    with ThreadPool(2, task_timeout=DEADLINE) as pool:
        assert [pool.submit(pow, n, 2).result() for n in range(50)] == [n * n for n in range(50)]
        assert pool.status().tasks.timed_out == 0


def test_waiting_is_no_part_of_the_time_limit_and_is_of_the_deadline(gate):
    with ThreadPool(1) as pool:
        first = pool.submit(gate)
        gate.wait_for(1)
        waits = pool.options(timeout=DEADLINE).submit(int, "1")
        with pytest.raises(TaskTimeout) as caught:
            pool.options(deadline=0.05).submit(int, "2").result(DEADLINE)
        assert "no thread was free" in str(caught.value)
        assert not waits.done()
        gate.open()
        first.result(DEADLINE)
        assert waits.result(DEADLINE) == 1


def test_a_deadline_holds_for_the_running_too(gate):
    with ThreadPool(1) as pool:
        assert isinstance(pool.options(deadline=0.05).submit(gate).exception(DEADLINE), TaskTimeout)
        gate.open()


def test_tried_again_after_its_time(gate):
    calls = []

    def slow_once():
        calls.append(1)
        return gate() if len(calls) == 1 else "second"

    with ThreadPool(1) as pool:
        assert pool.options(timeout=0.05, retries=1).submit(slow_once).result(DEADLINE) == "second"
        assert pool.status().tasks.retried == 1
        gate.open()


def test_cancel_takes_back_what_has_not_begun(gate):
    with ThreadPool(1) as pool:
        running = pool.submit(gate, "done")
        gate.wait_for(1)
        waiting = pool.submit(int)
        assert running.running()
        assert not waiting.running()
        assert waiting.cancel()
        assert waiting.cancelled()
        assert not running.cancel()
        gate.open()
        assert running.result(DEADLINE) == "done"
        assert not running.cancel(running=True)
        assert pool.status().tasks.cancelled == 1


def test_cancel_of_a_running_task_gives_its_thread_up(gate):
    with ThreadPool(1) as pool:
        future = pool.submit(gate, "late")
        gate.wait_for(1)
        assert future.cancel(running=True)
        assert future.cancelled()
        assert pool.submit(int, "1").result(DEADLINE) == 1
        gate.open()


def test_there_is_an_end_to_giving_up(gate, caplog):
    pool = ThreadPool(2, name="p")
    try:
        hopeless = [pool.options(timeout=0.02).submit(gate) for _ in range(4)]
        assert all(isinstance(future.exception(DEADLINE), TaskTimeout) for future in hopeless)
        stuck = pool.submit(int, "7")
        status = pool.status()
        assert (status.workers.total, status.workers.stopping) == (4, 4)
        assert status.state.startswith("out of threads: 4")
        assert "use a ProcessPool" in caplog.text
        assert not stuck.done()
        gate.open()
        assert stuck.result(DEADLINE) == 7
        assert pool.status().state == "running"
    finally:
        pool.shutdown()


def test_a_pool_without_threads_can_be_shut_down(gate):
    pool = ThreadPool(1)
    for _ in range(2):
        assert isinstance(pool.options(timeout=0.02).submit(gate).exception(DEADLINE), TaskTimeout)
    stuck = pool.submit(int)
    pool.shutdown()
    assert "given up" in str(stuck.exception(0))
    gate.open()


def test_shutdown_with_a_limit(gate):
    pool = ThreadPool(1)
    running, waiting = pool.submit(gate), pool.submit(int)
    gate.wait_for(1)
    pool.shutdown(timeout=0.05)
    assert isinstance(running.exception(0), PoolClosed)
    assert waiting.cancelled()
    gate.open()


def test_terminate_settles_everything_now(gate):
    pool = ThreadPool(2)
    futures = [pool.submit(gate) for _ in range(5)]
    gate.wait_for(2)
    pool.terminate()
    assert [type(future.exception(0)) for future in futures[:2]] == [PoolClosed] * 2
    assert all(future.cancelled() for future in futures[2:])
    assert pool.status().state == "closed"
    gate.open()
    wait_until(lambda: pool.status().workers.total == 0, DEADLINE, "the threads to leave")
    pool.shutdown()
    assert (pool.status().tasks.failed, pool.status().tasks.cancelled) == (2, 3)
