"""What tasks do to their worker: what stays for the next task, and what harms nobody else."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pool_more_tasks
import pool_tasks as tasks
import pytest

from capabilities import DEADLINE
from rookery import ProcessPool
from rookery.errors import ResultNotSent, TaskNotSent, WorkerDied
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]


def test_what_a_task_changes_stays_for_the_next_of_its_worker_and_for_no_other(tmp_path):
    with ProcessPool(1) as pool:
        before = pool.submit(tasks.surroundings).result(DEADLINE)
        assert before[2:] == (None, False)
        pool.submit(tasks.changes_surroundings, str(tmp_path)).result(DEADLINE)
        assert pool.submit(tasks.surroundings).result(DEADLINE) == (str(tmp_path), 0o123, "yes", True)
        with pytest.raises(WorkerDied):
            pool.submit(tasks.die, "SIGKILL").result(DEADLINE)
        assert pool.submit(tasks.surroundings).result(DEADLINE) == before
    assert os.getcwd() != str(tmp_path)


def test_an_argument_that_a_task_changes_is_the_tasks_own():
    items = [1]
    with ProcessPool(1) as pool:
        futures = [pool.submit(tasks.changes_its_argument, items) for _ in range(20)]
        assert [future.result(DEADLINE) for future in futures] == [[1, 1]] * 20
    assert items == [1]


@pytest.mark.parametrize("chunksize", [1, 7, "auto"])
def test_nor_do_the_items_of_a_chunk_share_it(chunksize):
    items = [1]
    with ProcessPool(2) as pool:
        results = list(pool.map(tasks.changes_its_argument, [items] * 30, chunksize=chunksize))
    assert results == [[1, 1]] * 30
    assert items == [1]
    assert len({id(result) for result in results}) == 30


def test_nor_where_numbers_stand_before_it():
    items = [1]
    with ProcessPool(1) as pool:
        given = [0, 1.5, None, True, items, items, -7]
        results = list(pool.map(tasks.changes_it_where_it_can, given, chunksize=7))
    assert results == [0, 1.5, None, True, [1, 1], [1, 1], -7]
    assert results[4] is not results[5]


def test_large_arguments_are_the_tasks_own(tmp_path):
    data = bytearray(b"abcd" * 50_000)
    with ProcessPool(1) as pool:
        for _ in range(3):
            assert pool.submit(tasks.summary, data).result(DEADLINE) == (200_000, 97, 100)
        path = str(tmp_path / "mark")
        Path(path).touch()
        for _ in range(3):  # each changes what it got
            assert pool.submit(tasks.changes_what_it_got_and_dies_once, path, data).result(DEADLINE) == b"abcd"
    assert bytes(data[:4]) == b"abcd"


def test_the_second_try_sees_its_large_argument_as_it_was(tmp_path):
    data = bytearray(b"abcd" * 50_000)
    with ProcessPool(1, retries=1) as pool:
        task = pool.submit(tasks.changes_what_it_got_and_dies_once, str(tmp_path / "mark"), data)
        assert task.result(DEADLINE) == b"abcd"


def test_a_task_that_closes_all_descriptors_fails_alone():
    with ProcessPool(1) as pool:
        bad = pool.submit(tasks.closes_all_descriptors)
        good = [pool.submit(tasks.square, number) for number in range(10)]
        assert isinstance(bad.exception(DEADLINE), WorkerDied)
        assert [future.result(DEADLINE) for future in good] == [number * number for number in range(10)]


@pytest.mark.parametrize("to", ["stream", "packets"])
def test_a_task_that_writes_garbage_into_all_sockets_fails_alone(to):
    with ProcessPool(1) as pool:
        bad = pool.submit(pool_more_tasks.writes_garbage, to)
        good = [pool.submit(tasks.square, number) for number in range(10)]
        error = bad.exception(DEADLINE)
        if to == "stream":
            assert isinstance(error, WorkerDied)
            assert "wrote into" in str(error)
        assert [future.result(DEADLINE) for future in good] == [number * number for number in range(10)]


def test_a_worker_without_descriptors_fails_what_needs_one_and_does_the_rest():
    large = b"x" * 300_000
    with ProcessPool(1) as pool:
        pool.submit(tasks.holds_descriptors, 0).result(DEADLINE)
        with pytest.raises(TaskNotSent, match="open files"):
            pool.submit(tasks.summary, large).result(DEADLINE)
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9
        with pytest.raises(ResultNotSent):
            pool.submit(tasks.filled, 300_000, 7).result(DEADLINE)
        assert pool.submit(tasks.square, 4).result(DEADLINE) == 16


def test_threads_of_a_task_live_on_and_end_with_the_worker():
    with ProcessPool(1, graceful_timeout=0.2) as pool:
        pid = pool.submit(tasks.starts_a_thread, 0.05).result(DEADLINE)
        assert pool.submit(tasks.me).result(DEADLINE) == pid
        pool.submit(tasks.starts_a_thread, 600).result(DEADLINE)
        assert pool.submit(tasks.me).result(DEADLINE) == pid


def test_a_worker_keeps_its_own_state():
    with ProcessPool(1) as pool:
        counts = [pool.submit(tasks.keeps, number).result(DEADLINE) for number in range(5)]
        assert [count for _, count in counts] == [1, 2, 3, 4, 5]
        assert len({pid for pid, _ in counts}) == 1


def test_tasks_of_a_worker_run_one_at_a_time_in_its_main_thread():
    with ProcessPool(1) as pool:
        assert pool.submit(lambda: threading.current_thread() is threading.main_thread()).result(DEADLINE)


def test_a_worker_is_named_in_ps(tmp_path):
    path = str(tmp_path / "pid")
    with ProcessPool(1, name="thumbs") as pool:
        pool.submit(tasks.says_and_waits, path)
        wait_until(lambda: os.path.exists(path), DEADLINE, "the task")
        row = pool.status().rows[0]
        assert "thumbs" in Path(f"/proc/{row.pid}/cmdline").read_text()
        pool.terminate()
