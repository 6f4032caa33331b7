"""What a pool tells: events and status. And large and many tasks."""

from __future__ import annotations

import sys
import threading
from collections import defaultdict

import pool_more_tasks
import pool_tasks as tasks
import pytest

from capabilities import DEADLINE
from rookery import ProcessPool
from rookery.errors import TaskTimeout, WorkerDied
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]


class Heard:
    def __init__(self, pool):
        self.events = []
        pool.on("*", self.events.append)

    def of_task(self, label):
        return [event.kind for event in self.events if event.task and event.task.startswith(f"{label} ")]

    def of_workers(self):
        return [event.kind for event in self.events if event.kind.startswith("worker_")]


def test_the_events_of_a_task_in_order(tmp_path):
    with ProcessPool(1, min_workers=0) as pool:
        heard = Heard(pool)
        pool.options(label="good").submit(tasks.square, 3).result(DEADLINE)
        pool.options(label="bad").submit(tasks.die, "raise").exception(DEADLINE)
        pool.options(label="dead").submit(tasks.die, "SIGKILL").exception(DEADLINE)
        pool.options(label="late", timeout=0.1).submit(tasks.nap).exception(DEADLINE)
        pool.options(label="again", retries=1).submit(tasks.fails_once, str(tmp_path / "a")).result(DEADLINE)
        pool.options(label="told").submit(pool_more_tasks.tells, [1, 2]).result(DEADLINE)
        hanging = pool.options(label="ended").submit(tasks.nap)
        wait_until(lambda: "task_started" in heard.of_task("ended"), DEADLINE, "its beginning")
        waiting = pool.options(label="cancelled").submit(tasks.square, 3)
        assert waiting.cancel()
        assert hanging.cancel(running=True)
        overdue = pool.options(label="overdue", deadline=0.05).submit(tasks.nap)
        overdue.exception(DEADLINE)
        pool.submit(tasks.square, 1).result(DEADLINE)
    begun = ["task_queued", "task_started"]
    assert heard.of_task("good") == [*begun, "task_completed"]
    assert heard.of_task("bad") == [*begun, "task_failed"]
    assert heard.of_task("dead") == [*begun, "task_failed"]
    assert heard.of_task("late") == [*begun, "task_timed_out"]
    assert heard.of_task("again") == [*begun, "task_retried", "task_started", "task_completed"]
    assert heard.of_task("told") == [*begun, "task_progress", "task_progress", "task_completed"]
    assert heard.of_task("ended") == [*begun, "task_cancelled"]
    assert heard.of_task("cancelled") == ["task_queued", "task_cancelled"]
    assert heard.of_task("overdue")[-1] == "task_timed_out"
    errors = {event.task.split()[0]: event.error for event in heard.events if event.kind == "task_failed"}
    assert isinstance(errors["bad"], tasks.Trouble)
    assert isinstance(errors["dead"], WorkerDied)
    late = next(event for event in heard.events if event.kind == "task_timed_out")
    assert isinstance(late.error, TaskTimeout)
    assert late.worker
    assert [event.value for event in heard.events if event.kind == "task_progress"] == [1, 2]


def test_the_events_of_each_task_are_in_order_under_load():
    with ProcessPool(3) as pool:
        heard = Heard(pool)
        calls = [pool.options(label=f"t{number}") for number in range(400)]
        threads = [
            threading.Thread(target=lambda some=calls[at::4]: [one.submit(tasks.square, 2) for one in some])
            for at in range(4)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert pool.drain(DEADLINE)
    kinds = defaultdict(list)
    for event in heard.events:
        if event.task:
            kinds[event.task].append(event.kind)
    assert len(kinds) == 400
    assert {tuple(one) for one in kinds.values()} == {("task_queued", "task_started", "task_completed")}


def test_the_events_of_workers():
    with ProcessPool(1, min_workers=0) as pool:
        heard = Heard(pool)
        pool.submit(tasks.square, 1).result(DEADLINE)
        pool.submit(tasks.die, "SIGKILL").exception(DEADLINE)
        pool.submit(tasks.square, 1).result(DEADLINE)
    assert heard.of_workers() == [
        *("worker_created", "worker_ready", "worker_exited"),
        *("worker_created", "worker_ready", "worker_replaced", "worker_exited"),
    ]
    exits = [event for event in heard.events if event.kind == "worker_exited"]
    assert "SIGKILL" in exits[0].reason
    assert exits[1].reason


def test_a_listener_that_fails_or_leaves_disturbs_nobody(caplog):
    heard = []

    def fail(_):
        raise SystemExit(3)

    with ProcessPool(1) as pool:
        pool.on("task_completed", fail)
        leave = pool.on("task_completed", heard.append)
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9
        wait_until(lambda: heard, DEADLINE, "the event")
        leave()
        assert pool.submit(tasks.square, 4).result(DEADLINE) == 16
        pool.drain(DEADLINE)
    assert len(heard) == 1
    assert "a listener to task_completed" in caplog.text


def test_the_status_while_tasks_run(tmp_path):
    go = tmp_path / "go"
    with ProcessPool(2, min_workers=2, name="pictures") as pool:
        running = [pool.options(label="resize").submit(tasks.wait_for, str(go)) for _ in range(2)]
        waiting = [pool.submit(tasks.square, number) for number in range(10)]
        wait_until(lambda: pool.status().workers.busy == 2, DEADLINE, "both at work")
        status = pool.status()
        assert (status.name, status.state) == ("pictures", "open")
        assert status.uptime > 0
        counts = status.workers
        assert (counts.total, counts.available, counts.busy, counts.starting, counts.stopping) == (2, 0, 2, 0, 0)
        assert status.success_rate is None
        assert (status.tasks.total, status.tasks.queued, status.tasks.running) == (12, 10, 2)
        for row in status.rows:
            assert (row.state, row.task, row.tasks, row.errors, row.restarts) == ("busy", "resize", 0, 0, 0)
            assert row.pid
            assert row.running_for is not None
            assert row.running_for >= 0
            assert row.rss is not None
            assert row.rss > 1 << 20
            assert row.uptime > 0
            assert row.name.startswith("pictures:")
        assert status.utilisation > 0
        assert "resize" in str(status)
        go.touch()
        for one in [*running, *waiting]:
            one.result(DEADLINE)
        for how in ("raise", "SIGKILL"):
            pool.submit(tasks.die, how).exception(DEADLINE)
        pool.options(timeout=0.05).submit(tasks.nap).exception(DEADLINE)
        wait_until(lambda: pool.status().workers.available == 2, DEADLINE, "two that are free")
        status = pool.status()
    counts = status.tasks
    assert (counts.total, counts.completed, counts.failed, counts.timed_out) == (15, 12, 3, 1)
    assert (counts.cancelled, counts.retried, counts.queued, counts.running) == (0, 0, 0, 0)
    assert status.success_rate == 12 / 15
    assert status.wait.count == status.run.count == 15
    assert status.run.max >= 0.05
    assert status.run.p50 is not None
    assert sum(row.restarts for row in status.rows) == 2
    assert [row.task for row in status.rows] == [None, None]
    assert status.to_dict()["tasks"]["failed"] == 3


def test_status_from_many_threads_while_workers_come_and_go():
    problems = []
    stop = threading.Event()
    with ProcessPool(3, max_tasks_per_worker=2) as pool:

        def look():
            while not stop.is_set():
                status = pool.status()
                counts = status.tasks
                ended = counts.completed + counts.failed + counts.cancelled
                if (
                    counts.total != ended + counts.queued + counts.running
                    or status.workers.total - status.workers.stopping > 3
                ):
                    problems.append(status)

        threads = [threading.Thread(target=look) for _ in range(3)]
        for one in threads:
            one.start()
        for future in [pool.submit(tasks.square, number) for number in range(100)]:
            future.result(3 * DEADLINE)
        stop.set()
        for one in threads:
            one.join()
    assert not problems


def test_two_hundred_megabytes_there_and_back():
    with ProcessPool(1) as pool:
        data = bytes([7]) * (200 << 20)
        assert pool.submit(tasks.summary, data).result(DEADLINE) == (200 << 20, 7, 7)
        del data
        result = pool.submit(tasks.filled, 200 << 20, 9).result(DEADLINE)
        assert (len(result), result[0], result[-1]) == (200 << 20, 9, 9)
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9


def test_large_results_while_their_workers_are_killed():
    with ProcessPool(2, retries=20) as pool:
        futures = [pool.submit(tasks.filled, 3 << 20, number) for number in range(20)]
        dying = [pool.options(retries=0).submit(tasks.die, "SIGKILL") for _ in range(5)]
        for number, future in enumerate(futures):
            result = future.result(DEADLINE)
            assert (len(result), result[0], result[-1]) == (3 << 20, number, number)
        for one in dying:
            assert isinstance(one.exception(DEADLINE), WorkerDied)


def test_a_hundred_thousand_tiny_tasks():
    with ProcessPool(2, max_tasks_per_worker=None) as pool:
        futures = [pool.submit(tasks.square, number) for number in range(100_000)]
        assert all(future.result(DEADLINE) == number * number for number, future in enumerate(futures))
        assert pool.status().tasks.completed == 100_000


def test_the_results_of_a_map_are_in_order_and_of_each_item():
    with ProcessPool(2) as pool:
        assert list(pool.map(tasks.square, range(5000), chunksize=100)) == [number**2 for number in range(5000)]
        assert sorted(pool.map(tasks.square, range(200), ordered=False)) == [number**2 for number in range(200)]
        found = list(pool.map(tasks.fails_at, range(20), [7] * 20, chunksize=5, return_exceptions=True))
        assert isinstance(found.pop(7), tasks.Trouble)
        assert found == [number for number in range(20) if number != 7]
        results = pool.map(tasks.fails_at, range(20), [7] * 20)
        assert [next(results) for _ in range(7)] == list(range(7))
        with pytest.raises(tasks.Trouble):
            next(results)


def test_a_worker_that_dies_in_a_chunk_fails_the_items_of_that_chunk():
    with ProcessPool(1) as pool:
        found = list(pool.map(tasks.die_at, range(12), [5] * 12, chunksize=4, return_exceptions=True))
    assert found[:4] == [0, 1, 2, 3]
    assert all(isinstance(one, WorkerDied) for one in found[4:8])
    assert found[8:] == [8, 9, 10, 11]
