"""A thread pool is an Executor, and more."""

from __future__ import annotations

import concurrent.futures
import contextvars
import threading
import traceback

import pytest

from capabilities import DEADLINE
from rookery.errors import PoolClosed, UsageError
from rookery.pool import ThreadPool, report_progress


@pytest.fixture
def pool():
    with ThreadPool(4, name="p") as pool:
        yield pool


def test_it_is_an_executor(pool):
    futures = [pool.submit(pow, n, 2) for n in range(20)]
    done, open_ones = concurrent.futures.wait(futures, timeout=DEADLINE)
    assert isinstance(pool, concurrent.futures.Executor)
    assert not open_ones
    assert [future.result() for future in futures] == [n * n for n in range(20)]
    assert set(concurrent.futures.as_completed(futures, timeout=DEADLINE)) == done


def test_keyword_arguments_and_names_that_are_ours(pool):
    assert pool.submit(dict, fn=1, self=2).result(DEADLINE) == {"fn": 1, "self": 2}


def test_the_tasks_own_error_is_raised_with_its_traceback(pool):
    error = ValueError("no")

    def fails():
        raise error

    future = pool.submit(fails)
    with pytest.raises(ValueError, match="no") as caught:
        future.result(DEADLINE)
    assert caught.value is error
    assert "in fails" in "".join(traceback.format_exception(caught.value))


def test_a_result_keeps_nothing_of_the_task(pool):
    import gc
    import weakref

    class Big:
        pass

    given = Big()
    gone = weakref.ref(given)
    future = pool.submit(lambda value: None, given)
    future.result(DEADLINE)
    pool.drain(DEADLINE)
    del given
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("chunksize", [1, 3, "auto"])
def test_map_in_order(pool, chunksize):
    assert list(pool.map(pow, range(10), [2] * 10, chunksize=chunksize)) == [n * n for n in range(10)]


@pytest.mark.parametrize("chunksize", [1, 2])
def test_errors_of_a_map(pool, chunksize):
    def half(number):
        if number % 2:
            raise ValueError(number)
        return number // 2

    found = list(pool.map(half, range(4), return_exceptions=True, chunksize=chunksize))
    assert [found[0], found[2]] == [0, 1]
    assert [type(found[1]), type(found[3])] == [ValueError, ValueError]
    with pytest.raises(ValueError, match="1"):
        list(pool.map(half, range(4), chunksize=chunksize))


def test_context_variables_of_the_submitter_are_seen(pool):
    number = contextvars.ContextVar("number", default=0)

    def seen():
        found = number.get()
        number.set(99)
        return found

    number.set(7)
    assert [pool.submit(seen).result(DEADLINE) for _ in range(8)] == [7] * 8
    assert number.get() == 7


def test_a_task_gives_tasks(pool):
    assert pool.submit(lambda: pool.submit(lambda: pool.submit(int, "3").result()).result()).result(DEADLINE) == 3


def test_progress_comes_to_the_submitter(pool):
    seen = []

    def work():
        for step in range(3):
            report_progress(step)
        return "done"

    assert pool.options(on_progress=seen.append).submit(work).result(DEADLINE) == "done"
    assert seen == [0, 1, 2]
    report_progress("nobody")
    assert seen == [0, 1, 2]


def test_progress_that_nobody_can_take_disturbs_nobody(pool, caplog):
    def broken(_):
        raise ValueError("broken")

    assert pool.options(on_progress=broken).submit(lambda: report_progress(1) or "done").result(DEADLINE) == "done"
    assert "on_progress" in caplog.text


def test_tried_again_whatever_it_failed_by(pool):
    calls = []

    def third_time():
        calls.append(threading.get_ident())
        if len(calls) < 3:
            raise OSError("not yet")
        return len(calls)

    assert pool.options(retries=2).submit(third_time).result(DEADLINE) == 3
    calls.clear()
    with pytest.raises(OSError, match="not yet"):
        pool.options(retries=1).submit(third_time).result(DEADLINE)
    tasks = pool.status().tasks
    assert (tasks.completed, tasks.failed, tasks.retried) == (1, 1, 3)


def test_events_tell_the_story():
    told = []
    with ThreadPool(1, name="p") as pool:
        stop = pool.on("*", told.append)
        pool.options(label="good").submit(int).result(DEADLINE)
        assert pool.options(label="bad").submit(int, "x").exception(DEADLINE) is not None
        pool.drain(DEADLINE)
        stop()
    assert [(event.kind, event.task) for event in told if event.task] == [
        ("task_queued", "good"),
        ("task_started", "good"),
        ("task_completed", "good"),
        ("task_queued", "bad"),
        ("task_started", "bad"),
        ("task_failed", "bad"),
    ]
    assert [event.kind for event in told if not event.task] == ["worker_created", "worker_ready"]
    assert isinstance(told[-1].error, ValueError)


def test_status_counts(pool):
    pool.submit(int).result(DEADLINE)
    pool.submit(int, "x").exception(DEADLINE)
    pool.drain(DEADLINE)
    gate = threading.Event()
    try:
        held = [pool.options(label="held").submit(gate.wait, DEADLINE) for _ in range(6)]
        status = pool.status()
        while status.tasks.running < 4:
            status = pool.status()
    finally:
        gate.set()
    assert (status.tasks.completed, status.tasks.failed, status.tasks.queued, status.tasks.running) == (1, 1, 2, 4)
    assert status.success_rate == 0.5
    assert (status.workers.total, status.workers.busy) == (4, 4)
    assert {row.task for row in status.rows} == {"held"}
    assert all(row.name.startswith("p-") and row.pid is None for row in status.rows)
    assert status.wait.count == 2
    concurrent.futures.wait(held, timeout=DEADLINE)
    assert "4 threads" in repr(pool)


def test_the_pool_is_not_too_late():
    pool = ThreadPool(1)
    pool.shutdown()
    with pytest.raises(PoolClosed) as caught:
        pool.submit(int)
    assert isinstance(caught.value, RuntimeError)
    assert pool.status().state == "closed"
    pool.shutdown()


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_workers": 0},
        {"max_workers": 1.5},
        {"min_workers": -1},
        {"max_queue": 0},
        {"when_full": "drop"},
        {"idle_timeout": 0},
        {"task_timeout": -1},
        {"retries": -1},
        {"initializer": 3},
        {"max_tasks_per_worker": 0},
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises((UsageError, ValueError, TypeError), match=next(iter(wrong)).removeprefix("task_")):
        ThreadPool(**wrong)


def test_a_tasks_options_outlive_the_name_of_the_pool():
    import gc

    calls = ThreadPool(1).options(label="kept")
    gc.collect()
    assert calls.submit(int, "4").result(DEADLINE) == 4
    del calls
    gc.collect()
