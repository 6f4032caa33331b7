"""Forks: of the process that has the pool, and of its workers by their tasks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading

import pool_more_tasks
import pool_tasks as tasks
import pytest
from pool_harness import Strangers, pid_in

from capabilities import DEADLINE
from rookery import ProcessPool
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def in_a_copy(work):
    """What it returns there, as text."""
    with Strangers():
        return _in_a_copy(work)


def _in_a_copy(work):
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = str(work())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writes, said.encode())
        os._exit(0)
    os.close(writes)
    with open(reads) as file:
        said = file.read()
    assert os.waitpid(pid, 0)[1] == 0
    return said


def test_a_copy_has_an_empty_pool_of_its_own_and_the_parent_goes_on():
    with ProcessPool(2) as pool:
        pool.submit(tasks.me).result(DEADLINE)
        futures = [pool.submit(tasks.nap, 0.001, number) for number in range(300)]

        def work():
            with pool:
                return [pool.submit(tasks.square, number).result(DEADLINE) for number in range(20)]

        assert in_a_copy(work) == str([number * number for number in range(20)])
        assert [future.result(DEADLINE) for future in futures] == list(range(300))


def test_futures_of_before_the_fork_are_the_parents():
    with ProcessPool(1) as pool:
        hanging = pool.submit(tasks.nap)
        wait_until(hanging.running, DEADLINE, "its beginning")
        assert in_a_copy(lambda: hanging.result(DEADLINE)).startswith("PoolClosed")
        assert not hanging.done()
        hanging.cancel(running=True)


def test_copies_in_the_middle_of_much_work():
    """Locks that another thread holds at that moment are not held in the copy."""
    stop = threading.Event()
    with ProcessPool(2) as pool:
        pool.submit(tasks.me).result(DEADLINE)

        def load():
            while not stop.is_set():
                for future in [pool.submit(tasks.square, number) for number in range(200)]:
                    future.result(DEADLINE)

        loads = [threading.Thread(target=load) for _ in range(2)]
        for one in loads:
            one.start()
        try:
            for number in range(5):
                said = in_a_copy(lambda number=number: pool.submit(tasks.square, number).result(DEADLINE))
                assert said == str(number * number)
        finally:
            stop.set()
            for one in loads:
                one.join()


def test_a_copy_of_multiprocessing():
    with ProcessPool(2) as pool:
        future = pool.submit(tasks.square, 7)
        assert future.result(DEADLINE) == 49
        context = multiprocessing.get_context("fork")
        copy = context.Process(target=lambda: os._exit(pool.submit(tasks.square, 5).result(DEADLINE)))
        with Strangers():
            copy.start()
            copy.join(DEADLINE)
            assert copy.exitcode == 25
            copy.close()
        assert pool.submit(tasks.square, 8).result(DEADLINE) == 64


def test_a_task_that_forks_and_returns_twice_is_done_once():
    with Strangers(), ProcessPool(1) as pool:
        for _ in range(5):
            assert pool.submit(tasks.forks, "", returns=True).result(DEADLINE) > 0
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9
        status = pool.status()
        assert (status.tasks.completed, status.tasks.failed) == (6, 0)


def test_the_copy_that_a_task_leaves_behind_ends_with_its_worker(tmp_path):
    path = str(tmp_path / "pid")
    with ProcessPool(1) as pool:
        assert pool.submit(tasks.forks, path, returns=False).result(DEADLINE) > 0
        copy = pid_in(path)
        assert [pool.submit(tasks.square, number).result(DEADLINE) for number in range(5)] == [0, 1, 4, 9, 16]
        assert kernel.start_time(copy) is not None
    assert kernel.facts(copy) is None or kernel.facts(copy).state == "Z"


def test_the_copy_of_a_worker_ends_by_sigterm():
    with ProcessPool(1) as pool:
        assert pool.submit(tasks.forks_and_ends_it).result(DEADLINE) == -signal.SIGTERM


def test_an_escaped_grandchild_is_gone_after_the_pool(tmp_path):
    path = str(tmp_path / "pid")
    with ProcessPool(1) as pool:
        pool.submit(tasks.starts_an_escaped_grandchild, path).result(DEADLINE)
        grandchild = pid_in(path)
        start = kernel.start_time(grandchild)
        assert start is not None
    assert not kernel.is_alive(grandchild, start)


def test_a_grandchild_is_gone_with_its_killed_worker(tmp_path):
    path = str(tmp_path / "pid")
    with ProcessPool(1) as pool:
        pool.submit(tasks.starts_an_escaped_grandchild, path).result(DEADLINE)
        grandchild = pid_in(path)
        start = kernel.start_time(grandchild)
        with pytest.raises(Exception, match="SIGKILL"):
            pool.submit(tasks.die, "SIGKILL").result(DEADLINE)
        wait_until(lambda: not kernel.is_alive(grandchild, start), DEADLINE, "the end of the grandchild")
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9


def test_a_task_that_makes_a_pool():
    with ProcessPool(2) as pool:
        results = list(pool.map(pool_more_tasks.makes_a_pool, [3, 4, 5, 6]))
        assert [result[1:] for result in results] == [[i * i for i in range(count)] for count in (3, 4, 5, 6)]
        assert os.getpid() not in [result[0] for result in results]


def test_a_task_that_leaves_a_pool_open():
    with ProcessPool(1) as pool:
        assert pool.submit(pool_more_tasks.leaves_a_pool, 3).result(DEADLINE) == [0, 1, 4]
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9
