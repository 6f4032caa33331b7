"""Thread pools at the end of the interpreter, and in a forked copy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from capabilities import DEADLINE
from rookery.pool.threads.thread_pool import ThreadPool
from rookery.pool.threads.thread_worker import ThreadWorker

pytestmark = [
    pytest.mark.real,
    # Newer Pythons warn of what is tested here.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


def run(program):
    say = "import os\ndef say(text): os.write(1, f'{text}\\n'.encode())\n"  # print() writes a line's end by itself
    code = say + textwrap.dedent(program)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE, check=False)


def test_what_was_given_is_done_before_the_interpreter_ends():
    ran = run("""
        import threading
        from rookery.pool.threads.thread_pool import ThreadPool

        pool = ThreadPool(2)
        gate = threading.Event()
        pool.submit(gate.wait)
        for number in range(3):
            pool.submit(say, f"task {number}")
        late = threading.Thread(target=lambda: (pool.submit(say, "of another thread"), gate.set()))
        late.start()
        say("the end")
    """)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert sorted(lines) == ["of another thread", "task 0", "task 1", "task 2", "the end"]


def test_a_thread_that_was_given_up_holds_nothing_up():
    ran = run("""
        import threading
        from rookery.pool.threads.thread_pool import ThreadPool

        pool = ThreadPool(1)
        forever = threading.Event()
        try:
            pool.options(timeout=0.01).submit(forever.wait).result()
        except TimeoutError as error:
            say(error)
        pool.submit(say, "after")
    """)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[-1] == "after"
    assert "was not done within 0.01 s" in ran.stdout


def test_after_terminate_nobody_is_waited_for():
    ran = run("""
        import threading
        from rookery.pool.threads.thread_pool import ThreadPool

        pool = ThreadPool(1)
        started = threading.Event()
        future = pool.submit(lambda: (started.set(), threading.Event().wait()))
        started.wait()
        pool.terminate()
        print(type(future.exception()).__name__)
    """)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "PoolClosed\n", "")


def test_a_thread_worker_is_disconnected_at_the_end():
    ran = run("""
        from rookery.pool.threads.thread_worker import ThreadWorker

        def work(channel):
            for message in channel:
                say(f"got {message}")
            say("left")

        worker = ThreadWorker(work)
        worker.send_sync(1)
        say("the end")
    """)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert sorted(ran.stdout.splitlines()) == ["got 1", "left", "the end"]


def in_a_fork(check):
    """What a forked copy says of itself: "" or an error."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(int(DEADLINE))  # where it waits for what is not here
        try:
            text = check() or ""
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writing, text.encode() or b"fine")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said


def test_a_forked_copy_is_empty_and_works():
    gate = threading.Event()
    with ThreadPool(2) as pool:
        futures = [pool.submit(gate.wait, DEADLINE) for _ in range(5)]
        lock = pool._engine.lock

        def check():
            status = pool.status()
            assert (status.workers.total, status.tasks.total) == (0, 0)
            assert pool.submit(int, "3").result(DEADLINE) == 3
            assert list(pool.map(abs, range(10))) == list(range(10))
            pool.shutdown(timeout=DEADLINE)

        with lock:  # as where another thread is just at it
            said = in_a_fork(check)
        gate.set()
        assert said == "fine"
        assert all(future.result(DEADLINE) for future in futures)


def test_a_fork_in_the_middle_of_a_task():
    with ThreadPool(1) as pool:
        assert pool.submit(in_a_fork, lambda: repr(pool.submit(int, "3").result(DEADLINE))).result(DEADLINE) == "3"
        assert pool.submit(int, "4").result(DEADLINE) == 4


def test_the_thread_of_a_worker_is_not_in_a_forked_copy():
    with ThreadWorker(lambda channel: [channel.send(message) for message in channel]) as worker:

        def check():
            worker.receive_sync(timeout=DEADLINE)

        said = in_a_fork(check)
        assert said.startswith("Disconnected")
        assert "forked from" in said
        worker.send_sync(1)
        assert worker.receive_sync(timeout=DEADLINE) == 1
