"""What a hard world does: nothing left to start with, other people's children, forks, ends without a word."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from capabilities import COMMON_PYTHON, needs_common_python
from rookery import PIPE, ProcessManager, errors, run, run_sync, spawn
from rookery._base.ids import new_scope
from rookery._os import kernel
from rookery.process import command
from rookery.process.reaper import TABLE
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]
PROGRAM = Path(__file__).parent / "programs" / "ends_somehow.py"


# -- ends without a word ----------------------------------------------------------------------------------------------


def alive(mark):
    return [one.pid for one in kernel.processes() if kernel.environ_value(one.pid, "ENDS_SOMEHOW") == mark]


def ended(kind, *signals):
    """How the program ended, and its mark."""
    mark = new_scope()
    with subprocess.Popen([sys.executable, PROGRAM, kind, mark], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as one:
        for number in signals:
            assert one.stdout.readline() == b"up\n"
            one.send_signal(number)
        one.stdout.read()
        log = one.stderr.read().decode()
        return one.wait(20), log, mark


@pytest.mark.parametrize(
    ("kind", "signals", "code"),
    [
        ("returns", (), 0),
        ("a task runs", (), 0),
        ("sys.exit", (), 3),
        ("os._exit", (), 3),
        ("loop closed", (), 0),
        ("interrupted in run", (signal.SIGINT,), -2),
        ("interrupted in a block", (signal.SIGINT,), -2),
        ("interrupted without a runner", (signal.SIGINT,), -2),
        ("blocked", (signal.SIGTERM,), -15),
    ],
)
def test_whatever_way_a_program_ends_its_children_do_too(kind, signals, code):
    got, log, mark = ended(kind, *signals)
    assert got == code, log
    assert ("Traceback" in log) == (code == -2), log
    wait_until(lambda: alive(mark) == [], what="the end of all that it started")
    wait_until(_reaped, what="the end of what came to us")


def test_what_is_detached_lives_on():
    code, log, mark = ended("detached")
    assert (code, log) == (0, "")
    (pid,) = alive(mark)
    kernel.signal_process(pid, kernel.start_time(pid), signal.SIGKILL)
    wait_until(lambda: alive(mark) == [] and _reaped(), what="its end")


def _reaped():
    """We are the test run's subreaper: what lost its parent came here."""
    for pid in set(kernel.children(os.getpid())) - set(TABLE.alive()) - TABLE.others:
        os.waitpid(pid, os.WNOHANG)
    return set(kernel.children(os.getpid())) <= TABLE.others


# -- nothing left to start with ---------------------------------------------------------------------------------------


@pytest.fixture
def free():
    """A function that leaves exactly so many descriptors free."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []

    def leave(count):
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        try:
            while True:
                held.append(os.dup(2))
        except OSError:
            pass
        for _ in range(count):
            os.close(held.pop())

    def give_back():
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        while held:
            os.close(held.pop())

    yield leave, give_back
    give_back()


async def joined():
    return (await run(spawn("seq", "10") | spawn("cat") | spawn("cat") | spawn("wc", "-l"))).stdout.strip()


async def fed():
    return (await run("/bin/sh", "-c", "sleep 0.01; setsid sleep 1000 & echo 10", input="x" * 200_000)).stdout.strip()


async def managed():
    async with ProcessManager() as manager:
        child = await manager.spawn("/bin/sh", "-c", "echo 10", stdin=PIPE)
        return (await child.process.stdout.read()).strip()


async def killed():
    child = await spawn("/bin/sh", "-c", "setsid sleep 1000 & echo up; sleep 1000")
    try:
        await anext(aiter(child.stdout))
    finally:
        await child.kill()
    return "10"


@pytest.mark.parametrize("work", [joined, fed, managed, killed], ids=lambda work: work.__name__)
async def test_however_few_descriptors_there_are_it_works_or_says_why(work, free):
    leave, give_back = free
    assert await work() == "10"  # what the loop and the guardian keep is there
    worked = 0
    for count in range(40):
        leave(count)
        try:
            async with asyncio.timeout(20):
                assert await work() == "10"
            worked += 1
        except errors.ResourcesExhausted:
            assert worked == 0, f"it worked with {count - 1} descriptors and does not with {count}"
        finally:
            give_back()
        if worked == 0:  # who was started before the one that could not be is killed, and reaped by the loop
            async with asyncio.timeout(20):
                while TABLE.alive():  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        assert TABLE.alive() == []
        if worked == 5:
            return
    raise AssertionError("it never worked")


FEW_PROCESSES = """
import asyncio, os, resource, sys
sys.path.insert(0, sys.argv[1])
from rookery import errors, run, spawn
from rookery.process import command
from rookery.process.reaper import TABLE
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))  # a user who has no other process
async def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    for count in range(1, 8):
        resource.setrlimit(resource.RLIMIT_NPROC, (count, hard))
        try:
            said = (await run(spawn("seq", "10") | spawn("cat") | spawn("wc", "-l"))).stdout.strip()
        except errors.ResourcesExhausted as error:
            said = error.argv[0]
        resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))
        while TABLE.alive():
            await asyncio.sleep(0.001)
        print(said, flush=True)
    async with spawn("sh", "-c", "setsid sleep 1000 & echo $!; wait") as child:
        runaway = int(await anext(aiter(child.stdout)))
    print(os.path.exists(f"/proc/{runaway}"))
    for options in ({"user": "root"}, {"group": 0}, {"groups": [0]}, {"nice": -5}):
        try:
            await run("true", **options)
        except errors.SpawnError as error:
            print(type(error).__name__)
asyncio.run(main())
"""


@needs_common_python
def test_who_is_not_root_with_few_processes_to_be_had():
    done = run_sync(COMMON_PYTHON, "-c", FEW_PROCESSES, PROGRAM.parents[3] / "src", 64_321, cwd="/", check=False)
    assert done.stderr == ""
    *counts, runaway, user, group, groups, nice = done.stdout.split()
    assert counts == ["seq", "cat", "wc", "10", "10", "10", "10"]
    assert runaway == "False"
    wait_until(_reaped, what="the end of the guardian")
    assert (user, group, groups, nice) == ("UserUnknown", "UserUnknown", "UserUnknown", "SpawnError")


# -- other people's children, threads and forks -----------------------------------------------------------------------


async def test_children_of_other_libraries_are_left_to_them():
    begin = subprocess.Popen
    theirs = [begin(["/bin/sh", "-c", "exit 7"], start_new_session=one) for one in (False, True)]
    foreign = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 8")
    for _ in range(3):
        await run("/bin/sh", "-c", "setsid sleep 1000 & echo")
    async with spawn("/bin/sh", "-c", "setsid sleep 1000 & echo up; wait") as child:
        await anext(aiter(child.stdout))
    assert [one.wait() for one in theirs] == [7, 7]
    assert await foreign.wait() == 8
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 9"], {})  # noqa: ASYNC221 - as another library would
    await run("/bin/sh", "-c", "setsid sleep 1000 & echo")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9  # noqa: ASYNC222


def test_a_handler_of_sigchld_stays_and_hears():
    heard = []
    before = signal.signal(signal.SIGCHLD, lambda number, _: heard.append(number))
    handler = signal.getsignal(signal.SIGCHLD)
    try:
        assert run_sync("/bin/sh", "-c", "exit 3", check=False).returncode == 3
        assert signal.getsignal(signal.SIGCHLD) is handler
        assert heard
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_several_loops_in_several_threads():
    said, wrong = [], []

    async def some(thread):
        async def one(number):
            async with spawn("/bin/sh", "-c", f"setsid sleep 1000 & echo {thread}-{number}; cat", stdin=PIPE) as child:
                text = await anext(aiter(child.stdout))
                child.stdin.close()
                assert (await child.wait()).code == 0
            return text == f"{thread}-{number}"

        return await asyncio.gather(*(one(number) for number in range(10)))

    def work(thread):
        try:
            for _ in range(2):
                said.extend(asyncio.run(some(thread)))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(one,)) for one in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert said == [True] * 120
    wait_until(lambda: TABLE.alive() == [], what="an empty wait table")


def test_a_fork_of_the_program_has_children_of_its_own_and_leaves_ours_alone():
    code = """
import asyncio, os
from rookery import run, spawn
async def inner():
    assert (await run("echo", "in the fork")).stdout == "in the fork\\n"
    async with spawn("sh", "-c", "setsid sleep 1000 & echo $!; wait") as child:
        runaway = int(await anext(aiter(child.stdout)))
    print("gone" if not os.path.exists(f"/proc/{runaway}") else "alive", flush=True)
async def main():
    ours = await spawn("sleep", "1000")
    pid = os.fork()
    if pid == 0:
        return None
    await asyncio.to_thread(os.waitpid, pid, 0)
    print("runs" if ours.is_running else "ended", flush=True)
    print((await ours.stop()).signal, flush=True)
    return ours
if asyncio.run(main()) is None:
    asyncio.run(inner())
"""
    # The fork leaves its copy of the loop at once: a loop is nobody's but the thread's that runs it.
    code = code.replace(
        "        return None\n", "        asyncio._set_running_loop(None); asyncio.run(inner()); os._exit(0)\n"
    )
    done = run_sync(sys.executable, "-c", code, timeout=30)
    assert done.stdout.split() == ["gone", "runs", "SIGTERM"]
    assert done.stderr == ""
    wait_until(_reaped, what="the end of the guardians")


# -- streams ----------------------------------------------------------------------------------------------------------


async def test_input_for_who_never_reads_does_not_hold_up_the_end():
    async with spawn("sleep", "1000", stdin=PIPE, graceful_timeout=0.5) as child:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(child.stdin.write("x" * 5_000_000), 0.1)
    assert child.returncode == -signal.SIGTERM
    with pytest.raises(errors.TimedOut):
        await run("sleep", "1000", input="x" * 5_000_000, timeout=0.1)
    assert (await run("/bin/sh", "-c", "exec <&-; sleep 0.05; echo", input="x" * 5_000_000)).ok


async def test_who_closes_his_output_early_is_waited_for():
    result = await run("/bin/sh", "-c", "echo said; exec >&- 2>&-; sleep 0.1; exit 3", check=False)
    assert (result.stdout, result.returncode) == ("said\n", 3)


async def test_a_slow_reader_is_not_the_childs_silence():
    count = 0
    async with spawn("seq", "200000", buffer=65536, idle_timeout=0.5) as child:
        async for _ in child.stdout:
            count += 1
            if count == 1000:
                await asyncio.sleep(1.0)
        result = await child.result()
    assert (count, result.timed_out) == (200_000, None)


MANY = """
import asyncio, os, sys
from rookery import run
env = {"ENDS_SOMEHOW": sys.argv[1]}
async def main():
    for _ in range(10):  # the first of each batch is started by a process that is no subreaper yet
        short = {"env": env, "output_grace": 0.001}
        await asyncio.gather(*(run("/bin/sh", "-c", "setsid sleep 1000 & echo", **short) for _ in range(30)))
asyncio.run(main())
print("done", flush=True)
sys.stdin.read()
"""


def test_of_many_runaways_of_leaders_that_end_at_once_none_is_left():
    """In a process of its own: the test run is a subreaper all the time, and would hide who was lost to init."""
    mark = new_scope()
    one = subprocess.Popen([sys.executable, "-c", MANY, mark], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert one.stdout.readline() == b"done\n"
        assert alive(mark) == []  # while it lives: its guardian has not had a say yet
    finally:
        one.communicate()
    wait_until(_reaped, what="the end of the guardian")


def test_the_flag_is_on_before_the_first_child_is_there(monkeypatch):
    before = kernel.is_subreaper()
    kernel.set_subreaper(False)
    seen = []
    start = command.spawn_process

    def starts(*args, **options):
        seen.append(kernel.is_subreaper())
        return start(*args, **options)

    monkeypatch.setattr(command, "spawn_process", starts)
    try:
        run_sync("true")
        assert (seen, kernel.is_subreaper()) == ([True], False)
    finally:
        kernel.set_subreaper(before)
