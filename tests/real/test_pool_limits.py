"""Time limits, deadlines, retries, priorities, queues, numbers of tasks and errors, memory, size."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading

import pool_tasks as tasks
import pytest
from pool_harness import pid_in

from capabilities import DEADLINE
from rookery import ProcessPool
from rookery._os import kernel
from rookery.errors import PoolFull, TaskTimeout, UsageError, WorkerDied
from rookery.pool.processes import dispatch
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]


def held(pool, path):
    """A task that holds the only worker until there is that file."""
    task = pool.submit(tasks.wait_for, str(path))
    wait_until(task.running, DEADLINE, "its beginning")
    return task


# -- time -------------------------------------------------------------------------------------------------------------


def test_a_time_limit_counts_from_the_tasks_beginning(tmp_path):
    with ProcessPool(1, task_timeout=0.9) as pool:
        futures = [pool.submit(tasks.nap, 0.2, number) for number in range(6)]
        assert [future.result(DEADLINE) for future in futures] == list(range(6))
        with pytest.raises(TaskTimeout, match=r"nap .*0\.9 s"):
            pool.submit(tasks.nap, 60).result(DEADLINE)


def test_only_that_worker_is_replaced(tmp_path):
    with ProcessPool(2, min_workers=2) as pool:
        other = held(pool, tmp_path / "go")
        pid = next(row.pid for row in pool.status().rows if row.state == "busy")
        with pytest.raises(TaskTimeout):
            pool.options(timeout=0.1).submit(tasks.nap, 60).result(DEADLINE)
        assert other.running()
        assert pid in [row.pid for row in pool.status().rows]
        (tmp_path / "go").touch()
        other.result(DEADLINE)


def test_what_a_task_has_started_is_ended_with_it(tmp_path):
    path = str(tmp_path / "pid")
    with ProcessPool(1) as pool:
        hanging = pool.options(timeout=1.0).submit(tasks.starts_and_hangs, path)
        grandchild = pid_in(path)
        start = kernel.start_time(grandchild)
        with pytest.raises(TaskTimeout):
            hanging.result(DEADLINE)
        wait_until(lambda: not kernel.is_alive(grandchild, start), DEADLINE, "the end of the grandchild")


def test_a_time_limit_of_a_map_counts_per_item():
    with ProcessPool(1) as pool:
        calls = pool.options(timeout=0.8)
        assert list(calls.map(tasks.nap, [0.15] * 8, range(8), chunksize=8)) == list(range(8))


def test_a_deadline_counts_the_waiting_too(tmp_path):
    with ProcessPool(1) as pool:
        blocker = held(pool, tmp_path / "go")
        late = pool.options(deadline=0.1).submit(tasks.square, 2)
        with pytest.raises(TaskTimeout, match="deadline"):
            late.result(DEADLINE)
        running = pool.options(deadline=60.0).submit(tasks.square, 3)
        (tmp_path / "go").touch()
        blocker.result(DEADLINE)
        assert running.result(DEADLINE) == 9
        with pytest.raises(TaskTimeout, match="deadline"):
            pool.options(deadline=0.1).submit(tasks.nap, 60).result(DEADLINE)
        assert pool.submit(tasks.square, 4).result(DEADLINE) == 16


def test_deadlines_that_are_met_leave_nothing_behind():
    with ProcessPool(1) as pool:
        calls = pool.options(deadline=3600.0)
        for future in [calls.submit(tasks.square, number) for number in range(1000)]:
            future.result(DEADLINE)
        pool.drain(DEADLINE)
        gc.collect()
        assert len([one for one in gc.get_objects() if type(one).__name__ == "Task"]) < 200


# -- again ------------------------------------------------------------------------------------------------------------


def test_retries(tmp_path):
    with ProcessPool(1) as pool:
        again = pool.options(retries=1)
        assert again.submit(tasks.fails_once, str(tmp_path / "fails")).result(DEADLINE) == "the second time"
        assert again.submit(tasks.dies_once, str(tmp_path / "dies"), "SIGKILL").result(DEADLINE) == "the second time"
        with pytest.raises(tasks.Trouble):
            again.submit(tasks.die, "raise").result(DEADLINE)
        with pytest.raises(WorkerDied):
            again.submit(tasks.die, "segv").result(DEADLINE)
        assert pool.status().tasks.retried == 4


async def test_retries_for_an_event_loop(tmp_path):
    async with ProcessPool(1, retries=1) as pool:
        async with asyncio.timeout(DEADLINE):
            assert await pool.run(tasks.dies_once, str(tmp_path / "dies"), "_exit 1") == "the second time"


# -- order, and how many wait -----------------------------------------------------------------------------------------


def test_priorities(tmp_path):
    log = str(tmp_path / "log")
    with ProcessPool(1) as pool:
        blocker = held(pool, tmp_path / "go")
        futures = [pool.options(priority=number % 3).submit(tasks.mark, log, number) for number in range(30)]
        (tmp_path / "go").touch()
        blocker.result(DEADLINE)
        for future in futures:
            future.result(DEADLINE)
    assert tasks.marks(log) == sorted(range(30), key=lambda number: -(number % 3))


def test_a_full_queue_raises(tmp_path):
    with ProcessPool(1, max_queue=3, when_full="raise") as pool:
        blocker = held(pool, tmp_path / "go")
        futures = []
        with pytest.raises(PoolFull) as caught:
            futures.extend(pool.submit(tasks.square, number) for number in range(100))
        assert caught.value.limit == 3
        assert len(futures) == 3
        (tmp_path / "go").touch()
        assert [future.result(DEADLINE) for future in futures] == [0, 1, 4]
        blocker.result(DEADLINE)
        assert pool.submit(tasks.square, 9).result(DEADLINE) == 81


def test_a_full_queue_makes_wait(tmp_path):
    futures = []
    with ProcessPool(1, max_queue=3) as pool:
        blocker = held(pool, tmp_path / "go")
        thread = threading.Thread(target=lambda: futures.extend(pool.submit(tasks.square, n) for n in range(50)))
        thread.start()
        wait_until(lambda: pool.status().tasks.queued == 3, DEADLINE, "a full queue")
        assert thread.is_alive()
        assert pool.status().tasks.queued == 3
        (tmp_path / "go").touch()
        thread.join(DEADLINE)
        assert [future.result(DEADLINE) for future in futures] == [number * number for number in range(50)]
        blocker.result(DEADLINE)


def test_who_waits_for_room_hears_that_the_pool_is_closed(tmp_path):
    errors = []
    pool = ProcessPool(1, max_queue=1)
    held(pool, tmp_path / "never")
    pool.submit(tasks.square, 1)

    def submit():
        try:
            pool.submit(tasks.square, 2)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=submit)
    thread.start()
    pool.terminate()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert len(errors) == 1
    pool.shutdown()


def test_a_short_task_does_not_wait_behind_a_long_one(tmp_path):
    """What a worker was given ahead is taken back when it turns out to be at something long."""
    with ProcessPool(2, min_workers=2) as pool:
        for future in [pool.submit(tasks.square, number) for number in range(2000)]:
            future.result(DEADLINE)  # now tasks are taken for short ones
        long = pool.submit(tasks.wait_for, str(tmp_path / "go"))
        short = [pool.submit(tasks.square, number) for number in range(500)]
        assert [future.result(DEADLINE) for future in short] == [number * number for number in range(500)]
        assert not long.done()
        (tmp_path / "go").touch()
        long.result(DEADLINE)


def test_no_worker_is_forgotten_when_its_tasks_are_taken_back(tmp_path):
    """Also one that has not come to look at any of them."""
    with ProcessPool(3, min_workers=3, max_tasks_per_worker=None) as pool:
        for _ in range(30):
            futures = [pool.submit(tasks.nap, 0.003 * (number % 9 == 0), number) for number in range(60)]
            for future in futures[::3]:
                future.cancel()
            assert pool.drain(DEADLINE)
        wait_until(lambda: pool.status().workers.available == 3, DEADLINE, "three that are free")
        waiting = [pool.submit(tasks.wait_for, str(tmp_path / "go")) for _ in range(3)]
        wait_until(lambda: all(one.running() for one in waiting), DEADLINE, "three at work at once")
        (tmp_path / "go").touch()


# -- when a worker has had enough -------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 3, 10])
def test_so_many_tasks_and_the_worker_is_replaced(most):
    with ProcessPool(2, max_tasks_per_worker=most) as pool:
        pids = [future.result(DEADLINE) for future in [pool.submit(tasks.me, number) for number in range(60)]]
    assert max(pids.count(pid) for pid in set(pids)) <= most
    assert len(set(pids)) >= 60 // most


@pytest.mark.parametrize(("age", "is_replaced"), [(0.0, True), (3600.0, False)])
def test_where_nothing_is_said_a_worker_is_replaced_when_it_has_done_many_and_lived_long(monkeypatch, age, is_replaced):
    monkeypatch.setattr(dispatch, "_RENEW_TASKS", 20)
    monkeypatch.setattr(dispatch, "_RENEW_AGE", age)
    with ProcessPool(1) as pool:
        first = pool.submit(tasks.me).result(DEADLINE)
        for _ in range(3):
            pids = {future.result(DEADLINE) for future in [pool.submit(tasks.me, number) for number in range(30)]}
        assert (first not in pids) == is_replaced


def test_so_many_errors_in_a_row_and_the_worker_is_replaced():
    with ProcessPool(1, max_errors=3) as pool:
        pid = pool.submit(tasks.me).result(DEADLINE)
        for _ in range(2):
            for _ in range(3):
                assert pool.submit(tasks.die, "raise").exception(DEADLINE) is not None
            assert pool.submit(tasks.me).result(DEADLINE) == pid  # and the count begins anew
        for _ in range(4):
            assert pool.submit(tasks.die, "raise").exception(DEADLINE) is not None
        assert pool.submit(tasks.me).result(DEADLINE) != pid


def test_above_soft_memory_a_worker_is_replaced_after_its_task():
    with ProcessPool(1, soft_memory="80M") as pool:
        pid = pool.submit(tasks.me).result(DEADLINE)
        assert pool.submit(tasks.eats, 120 << 20, 2.5).result(DEADLINE) == 120 << 20
        assert pool.submit(tasks.me).result(DEADLINE) != pid
        assert pool.status().tasks.failed == 0


def test_above_max_memory_a_worker_is_killed():
    with ProcessPool(1, max_memory="80M") as pool:
        with pytest.raises(WorkerDied, match="max_memory") as caught:
            pool.submit(tasks.eats, 120 << 20, 60).result(DEADLINE)
        assert caught.value.signal == "SIGKILL"
        assert "max_memory" in caught.value.reason
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9


# -- size -------------------------------------------------------------------------------------------------------------


def test_it_grows_with_the_work_and_shrinks_when_it_idles(tmp_path):
    with ProcessPool(4, min_workers=1, idle_timeout=0.2) as pool:
        wait_until(lambda: pool.status().workers.available == 1, DEADLINE, "the first")
        waiting = [pool.submit(tasks.wait_for, str(tmp_path / "go")) for _ in range(6)]
        wait_until(lambda: pool.status().workers.busy == 4, DEADLINE, "four at work")
        assert pool.status().workers.total == 4
        (tmp_path / "go").touch()
        for one in waiting:
            one.result(DEADLINE)
        wait_until(lambda: pool.status().workers.total == 1, DEADLINE, "the leave of three")
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9


def test_a_pool_without_workers_starts_one_for_the_first_task():
    with ProcessPool(2, min_workers=0, idle_timeout=0.1) as pool:
        assert pool.status().workers.total == 0
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9
        wait_until(lambda: pool.status().workers.total == 0, DEADLINE, "the leave of the only one")
        assert pool.submit(tasks.square, 4).result(DEADLINE) == 16


def test_resize_while_it_works(tmp_path):
    with ProcessPool(1) as pool:
        waiting = [pool.submit(tasks.wait_for, str(tmp_path / "go"), number) for number in range(100)]
        pool.resize(3, 3)
        wait_until(lambda: pool.status().workers.busy == 3, DEADLINE, "three at work")
        pool.resize(1, 1)
        (tmp_path / "go").touch()
        wait_until(lambda: pool.status().workers.total == 1, DEADLINE, "only one left")
        assert [one.result(DEADLINE) for one in waiting] == list(range(100))
        assert pool.status().tasks.failed == 0


def test_grow():
    with ProcessPool(3, min_workers=0) as pool:
        pool.grow(2)
        wait_until(lambda: pool.status().workers.available == 2, DEADLINE, "two")
        pool.grow(5)
        wait_until(lambda: pool.status().workers.available == 3, DEADLINE, "three, which is the most")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"max_workers": 0}, "max_workers"),
        ({"min_workers": -1}, "min_workers"),
        ({"max_tasks_per_worker": 0}, "max_tasks_per_worker"),
        ({"max_queue": 0}, "max_queue"),
        ({"when_full": "drop"}, "when_full"),
        ({"idle_timeout": -1}, "idle_timeout"),
        ({"task_timeout": 0}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"max_memory": "much"}, "max_memory"),
    ],
)
def test_settings_that_make_no_sense(settings, told):
    with pytest.raises((UsageError, ValueError), match=told):
        ProcessPool(**settings)
