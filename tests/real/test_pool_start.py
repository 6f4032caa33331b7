"""Workers that do not start: initializers, killed helpers, no descriptors, no processes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pool_tasks as tasks
import pytest
from pool_harness import Strangers

from capabilities import COMMON_PYTHON, DEADLINE, NOBODY, needs_common_python
from rookery import ProcessPool
from rookery._os import kernel
from rookery.errors import ResultNotSent, TaskNotSent, WorkerStartFailed
from rookery.process.guard import GUARD
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]


def test_the_initializer_is_called_once_in_each_worker_before_its_tasks():
    with ProcessPool(1, initializer=tasks.note, initargs=("begun",)) as pool:
        assert pool.submit(tasks.noted).result(DEADLINE) == ["begun"]
        assert pool.submit(tasks.noted).result(DEADLINE) == ["begun"]
        with pytest.raises(Exception, match="SIGKILL"):
            pool.submit(tasks.die, "SIGKILL").result(DEADLINE)
        assert pool.submit(tasks.noted).result(DEADLINE) == ["begun"]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("raise", "as told"),
        ("SystemExit 3", "3"),
        ("_exit 4", "exited with code 4"),
        ("SIGKILL", "SIGKILL"),
        ("segv", "SIGSEGV"),
    ],
)
def test_an_initializer_that_fails_fails_the_tasks_and_is_not_tried_for_ever(how, told, tmp_path):
    log = str(tmp_path / "log")
    with ProcessPool(2, initializer=tasks.fails_to_begin, initargs=(how, log)) as pool:
        futures = [pool.submit(tasks.square, number) for number in range(10)]
        for future in futures:
            assert isinstance(future.exception(DEADLINE), WorkerStartFailed)
            assert told in str(future.exception())
        assert pool.status().tasks.failed == 10
    assert len(tasks.marks(log)) <= 5


def test_an_initializer_that_hangs_is_ended():
    with ProcessPool(1, initializer=tasks.fails_to_begin, initargs=("hang",), start_timeout=0.1) as pool:
        error = pool.submit(tasks.square, 1).exception(DEADLINE)
        assert isinstance(error, WorkerStartFailed)
        assert "initializer" in str(error)


def test_an_initializer_that_cannot_be_pickled():
    with ProcessPool(1, initializer=tasks.note, initargs=(threading.Lock(),)) as pool:
        error = pool.submit(tasks.square, 1).exception(DEADLINE)
        assert isinstance(error, WorkerStartFailed)
        assert "pickle" in str(error)


def test_who_waits_for_room_hears_that_no_worker_starts():
    with ProcessPool(1, min_workers=0, max_queue=1, initializer=tasks.fails_to_begin, initargs=("raise",)) as pool:
        futures = []

        def submit():
            futures.extend(pool.submit(tasks.square, number) for number in range(4))

        thread = threading.Thread(target=submit)
        thread.start()
        thread.join(DEADLINE)
        assert not thread.is_alive()
        assert [type(future.exception(DEADLINE)) for future in futures] == [WorkerStartFailed] * 4


def test_a_preload_that_fails():
    with ProcessPool(1, preload=["there_is_no_such_module"]) as pool:
        error = pool.submit(tasks.square, 1).exception(DEADLINE)
        assert isinstance(error, WorkerStartFailed)
        assert "there_is_no_such_module" in str(error)


def fork_servers():
    return [
        (pid, kernel.start_time(pid))
        for pid in kernel.children(os.getpid())
        if "pool p" in Path(f"/proc/{pid}/comm").read_text()
    ]


def test_a_killed_fork_server_disturbs_nobody(tmp_path):
    go = tmp_path / "go"
    with Strangers(), ProcessPool(2, min_workers=1) as pool:
        first = pool.submit(tasks.wait_for, str(go), "first")
        wait_until(first.running, DEADLINE, "its beginning")
        servers = fork_servers()
        assert len(servers) == 1
        os.kill(servers[0][0], signal.SIGKILL)
        wait_until(lambda: not kernel.is_alive(*servers[0]), DEADLINE, "the end of the fork-server")
        assert [pool.submit(tasks.square, number).result(DEADLINE) for number in range(5)] == [0, 1, 4, 9, 16]
        go.touch()
        assert first.result(DEADLINE) == "first"
        with pytest.raises(Exception, match="died"):
            pool.submit(tasks.die, "SIGKILL").result(DEADLINE)
        assert pool.submit(tasks.square, 9).result(DEADLINE) == 81


def test_a_stopped_fork_server_is_replaced(monkeypatch):
    monkeypatch.setattr("rookery.pool.nursery.nursery.ANSWER_TIMEOUT", 0.2)
    monkeypatch.setitem(
        __import__("rookery.pool.nursery.nursery", fromlist=["Nursery"]).Nursery.__init__.__kwdefaults__,
        "answer_timeout",
        0.2,
    )
    with Strangers(), ProcessPool(2, min_workers=0, idle_timeout=None) as pool:
        assert pool.submit(tasks.square, 2).result(DEADLINE) == 4
        os.kill(fork_servers()[0][0], signal.SIGSTOP)
        with pytest.raises(Exception, match="died"):
            pool.submit(tasks.die, "SIGKILL").result(DEADLINE)
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9


def test_a_killed_guardian_disturbs_nobody(tmp_path):
    path = str(tmp_path / "pid")
    with ProcessPool(1) as pool:
        assert pool.submit(tasks.square, 2).result(DEADLINE) == 4
        guardian = GUARD.pid
        assert guardian is not None
        os.kill(guardian, signal.SIGKILL)
        assert pool.submit(tasks.square, 3).result(DEADLINE) == 9
        with pytest.raises(Exception, match="SIGKILL"):
            pool.submit(tasks.die, "SIGKILL").result(DEADLINE)
        pool.submit(tasks.starts_an_escaped_grandchild, path).result(DEADLINE)
        assert pool.submit(tasks.square, 4).result(DEADLINE) == 16


class NoDescriptors:
    """``with NoDescriptors(free):`` so many can still be opened."""

    def __init__(self, free):
        self.free = free

    def __enter__(self):
        self.limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = []
        while True:
            fd = os.open(os.devnull, os.O_RDONLY)
            taken.append(fd)
            if fd >= len(os.listdir("/proc/self/fd")) - 2:
                break
        for fd in taken[-self.free or len(taken) :] if self.free else []:
            os.close(fd)
        self.taken = taken[: len(taken) - self.free]
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[-1] + 1, self.limits[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_NOFILE, self.limits)
        for fd in self.taken:
            os.close(fd)


@pytest.mark.parametrize("free", [0, 1, 2, 3, 4, 5, 6, 8])
def test_without_descriptors_a_pool_says_so_and_works_afterwards(free):
    pool, errors = None, []
    with NoDescriptors(free):
        try:
            pool = ProcessPool(1)
            errors.append(pool.submit(tasks.square, 2).exception(DEADLINE))
        except WorkerStartFailed as error:
            errors.append(error)
    assert errors[0] is None or isinstance(errors[0], WorkerStartFailed)
    if pool is not None:
        with pool:
            assert pool.submit(tasks.square, 3).result(DEADLINE) == 9


@pytest.mark.parametrize("free", [0, 1, 2])
def test_a_pool_at_work_loses_its_descriptors(free):
    large = b"x" * 300_000
    with ProcessPool(1) as pool:
        assert pool.submit(tasks.square, 2).result(DEADLINE) == 4
        with NoDescriptors(free):
            assert pool.submit(tasks.square, 3).result(DEADLINE) == 9
            for work in ((tasks.summary, large), (tasks.filled, 300_000, 1)):
                error = pool.submit(*work).exception(DEADLINE)
                assert error is None or isinstance(error, TaskNotSent | ResultNotSent)
            dead = pool.submit(tasks.die, "SIGKILL")
            assert dead.exception(DEADLINE) is not None
            error = pool.submit(tasks.square, 4).exception(DEADLINE)
            assert error is None or isinstance(error, WorkerStartFailed)
        assert pool.submit(tasks.square, 5).result(DEADLINE) == 25
        assert pool.submit(tasks.summary, large).result(DEADLINE) == (300_000, 120, 120)


NO_PROCESSES = """
import resource, sys
sys.path[:0] = {path!r}
import pool_tasks as tasks
from rookery import ProcessPool
from rookery.errors import WorkerStartFailed
resource.setrlimit(resource.RLIMIT_NPROC, ({most}, 4096))
errors = []
try:
    pool = ProcessPool(2)
    errors = [type(pool.submit(tasks.square, n).exception(20)).__name__ for n in range(3)]
    resource.setrlimit(resource.RLIMIT_NPROC, (4096, 4096))
    assert pool.submit(tasks.square, 4).result(20) == 16
    pool.shutdown()
except WorkerStartFailed as error:
    errors = ["WorkerStartFailed"]
print(*set(errors))
"""


@needs_common_python
@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_without_processes_a_pool_says_so_and_works_afterwards(most, tmp_path):
    program = NO_PROCESSES.format(path=[path for path in sys.path if path], most=most)
    with Strangers():
        ran = subprocess.run(
            [COMMON_PYTHON, "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE,
            check=False,
            cwd="/",
            **NOBODY,
        )
    assert ran.returncode == 0, ran.stderr
    assert set(ran.stdout.split()) <= {"WorkerStartFailed", "NoneType"}
