"""This very process: what can be known of it, what it is told, how it leaves."""

import asyncio
import os
import platform
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from rookery import errors, on_signal, on_task_error, on_uncaught, process_info, spawn
from rookery.testing import wait_until

pytestmark = pytest.mark.real
LEAVES = Path(__file__).parent / "programs" / "leaves.py"
ALL = ["up", "stop accepting", "drain", "close last", "close first"]


def leave(kind, number=None):
    """Run the program, signal it once it is up; its exit code, what it said and logged."""
    with subprocess.Popen(
        [sys.executable, LEAVES, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        first = process.stdout.readline()
        if number is not None:
            process.send_signal(number)
        out, err = process.stdout.read(), process.stderr.read()  # not communicate(): it forgets what readline() took
        process.wait(timeout=20)
    return process.returncode, [first.strip(), *out.split("\n")[:-1]], err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_in_order(number):
    code, said, logged = leave("signal", number)
    assert (code, said) == (0, ALL)
    assert f"leaving: {signal.Signals(number).name} came" in logged


def test_a_program_that_returns_leaves_in_order():
    assert leave("returns")[:2] == (0, ALL)


@pytest.mark.parametrize("kind", ["crash", "task crash"])
def test_a_crash_is_logged_drains_and_exits_1(kind):
    code, said, logged = leave(kind)
    assert (code, said) == (1, ALL)
    assert "ZeroDivisionError" in logged


@pytest.mark.parametrize("kind", ["late", "late and blocked"])
def test_the_limit_is_hard(kind):
    code, said, logged = leave(kind, signal.SIGTERM)
    assert (code, said) == (1, ALL[:3])
    assert "not done with leaving after 0.3 s" in logged


def test_a_second_signal_forces():
    code, said, logged = leave("impatient", signal.SIGTERM)
    assert (code, said) == (1, ALL[:3])
    assert "leaving at once" in logged


def test_a_step_that_fails_does_not_hold_up_the_others():
    code, said, logged = leave("broken step", signal.SIGTERM)
    assert (code, said) == (0, ALL)
    assert "ZeroDivisionError" in logged


def test_too_much_memory_leaves_in_order():
    code, said, logged = leave("memory")
    assert (code, said) == (0, ALL)
    assert "bytes of memory are more than 1,000" in logged


async def test_several_hear_of_a_signal_and_the_last_gives_it_back():
    before = signal.getsignal(signal.SIGUSR1)
    heard = []
    removes = [on_signal(signal.SIGUSR1, lambda number, name=name: heard.append((name, number))) for name in "ab"]
    os.kill(os.getpid(), signal.SIGUSR1)
    while len(heard) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert heard == [("a", signal.SIGUSR1), ("b", signal.SIGUSR1)]
    for remove in removes:
        remove()
    assert signal.getsignal(signal.SIGUSR1) == before


async def test_errors_that_nobody_caught(capsys):
    heard, shown = [], []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: shown.append(context))
    remove_task, remove = on_task_error(heard.append), on_uncaught(heard.append)

    async def broken():
        raise ZeroDivisionError

    task = loop.create_task(broken())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.excepthook(KeyError, KeyError("main"), None)
    assert [type(error) for error in heard] == [ZeroDivisionError, KeyError]
    assert len(shown) == 1
    assert "KeyError" in capsys.readouterr().err
    remove()
    remove_task()
    sys.excepthook(KeyError, KeyError("not heard"), None)
    assert len(heard) == 2


def test_errors_in_threads():
    code = """
import sys, threading
from rookery import on_uncaught
on_uncaught(lambda error: print("heard", type(error).__name__, flush=True))
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise KeyError
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=20)
    assert done.stdout.split() == ["heard", "ZeroDivisionError", "heard", "KeyError"]
    assert done.returncode == 1


def test_info_of_this_process():
    info = process_info()
    assert (info.pid, info.ppid, info.cwd) == (os.getpid(), os.getppid(), os.getcwd())
    assert info.env["PATH"] == os.environ["PATH"]
    assert info.argv == tuple(sys.orig_argv)
    assert (info.python, info.arch, info.platform) == (platform.python_version(), platform.machine(), sys.platform)
    assert info.threads >= threading.active_count()
    assert info.fds >= 3
    assert 0 < info.memory.shared < info.memory.resident < info.memory.virtual
    assert info.cpu_user > 0
    assert 0 < info.uptime < 36000
    assert info.tree.processes >= 1
    assert info.tree.memory >= info.memory.resident // 2


def test_threads_are_counted():
    before, end = process_info().threads, threading.Event()
    threads = [threading.Thread(target=end.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert process_info().threads == before + 3
    end.set()
    for thread in threads:
        thread.join()


async def test_info_of_a_child_and_its_tree():
    async with spawn("sh", "-c", "sleep 1000 & echo up; wait", env={"MARK": "here"}) as child:
        await anext(aiter(child.stdout))
        info = process_info(child.pid)
        assert (info.pid, info.ppid, info.argv[:2], info.env["MARK"]) == (child.pid, os.getpid(), ("sh", "-c"), "here")
        assert info.tree.processes == 2
    with pytest.raises(errors.ProcessNotFound):
        process_info(child.pid)


async def test_percent_is_since_the_last_look():
    async with spawn(sys.executable, "-c", "while True: pass") as child:
        process_info(child.pid)
        wait_until(lambda: process_info(child.pid).cpu_percent > 20, what="the work")


def test_the_title():
    code = """
import sys
from rookery import process_info, set_title
assert set_title("worker 1: busy")
print(process_info().title, "|", process_info().name)
print(open("/proc/self/cmdline", "rb").read().rstrip(b"\\0").decode())
import os; print(os.environ["STAYS"])
"""
    environ = {**os.environ, "STAYS": "yes"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20, env=environ
    )
    assert done.stdout.splitlines() == ["worker 1: busy | worker 1: busy", "worker 1: busy", "yes"]
