"""The wait table with real children, with pidfds and without."""

import asyncio
import os
import signal
import sys
import threading
from contextlib import suppress

import pytest

from rookery._os import features, kernel
from rookery.process.local import LocalSpawner
from rookery.process.reaper import TABLE
from rookery.process.spec import SpawnSpec
from rookery.testing import wait_until
from rookery.testing.wire import Wire, python

pytestmark = pytest.mark.real
linux_only = pytest.mark.skipif(sys.platform == "darwin", reason="needs a subreaper")


@pytest.fixture(params=["pidfd", "no pidfd"], autouse=True)
def pidfds(request, monkeypatch):
    if request.param == "no pidfd":
        monkeypatch.setenv(features.WITHOUT, "pidfd")
    features.forget()
    yield request.param == "pidfd"
    monkeypatch.undo()
    features.forget()
    wait_until(lambda: TABLE.alive() == [] and TABLE._thread is None, what="an empty wait table")


@pytest.fixture
def not_subreaper():
    """The test run is one; a user's process usually is not."""
    kernel.set_subreaper(False)
    yield
    kernel.set_subreaper(True)


def sh(script, **options):
    return SpawnSpec(("/bin/sh", "-c", script), **options)


async def end_of(handle):
    return await asyncio.wait_for(handle.wait(), 20)


@pytest.mark.parametrize(
    ("script", "code", "name"),
    [("exit 0", 0, None), ("exit 255", 255, None), ("kill -9 $$", None, "SIGKILL"), ("kill -USR1 $$", None, "SIGUSR1")],
)
async def test_how_it_ended(script, code, name):
    status = await end_of(await LocalSpawner().spawn(sh(script), "x", 1))
    assert (status.code, status.signal_name) == (code, name)


async def test_fifty_at_once_leave_nothing():
    spawner = LocalSpawner()
    handles = [await spawner.spawn(sh(f"exit {number}"), "x", number) for number in range(50)]
    codes = [(await end_of(handle)).code for handle in handles]
    assert codes == list(range(50))


async def test_asked_again_for_the_same_one_it_is_the_one_that_runs():
    with Wire() as wire:
        spawner = LocalSpawner()
        spec = SpawnSpec(("/bin/cat",), fds={0: wire.stdin})
        first = await spawner.spawn(spec, "x", 1)
        assert await spawner.spawn(spec, "x", 1) is first
        first.signal(signal.SIGKILL)
        await end_of(first)


async def test_many_wait_and_some_give_up():
    with Wire() as wire:
        handle = await LocalSpawner().spawn(SpawnSpec(("/bin/cat",), fds={0: wire.stdin}), "x", 1)
        waits = [asyncio.ensure_future(handle.wait()) for _ in range(5)]
        await asyncio.sleep(0)
        waits.pop().cancel()
        wire.release()
        assert {status.code for status in await asyncio.wait_for(asyncio.gather(*waits), 20)} == {0}


async def test_a_status_that_somebody_else_took_is_unknown_but_the_end_is_seen(pidfds):
    with Wire() as wire:
        handle = await LocalSpawner().spawn(SpawnSpec(("/bin/cat",), fds={0: wire.stdin}), "x", 1)
        handle.signal(signal.SIGKILL)
        with suppress(ChildProcessError):  # without pidfds the thread may be faster
            os.waitpid(handle.pid, 0)  # noqa: ASYNC222 - it has been killed
        status = await end_of(handle)
    assert (status.code, status.signal) in ({(None, None)} if pidfds else {(None, None), (None, 9)})


@linux_only
async def test_children_of_others_are_not_reaped():
    pid = os.posix_spawn("/bin/true", ["/bin/true"], {})  # noqa: ASYNC221 - not through us
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
    spawner = LocalSpawner()
    handle = await spawner.spawn(sh("exit 0"), "x", 1)
    await end_of(handle)
    spawner.tree(handle, "").members()
    assert os.waitpid(pid, os.WNOHANG)[0] == pid  # noqa: ASYNC222 - it does not wait


@linux_only
async def test_the_process_is_a_subreaper_only_while_it_has_children(not_subreaper):
    with Wire() as wire:
        handles = [
            await LocalSpawner().spawn(SpawnSpec(("/bin/cat",), fds={0: wire.stdin}), "x", number)
            for number in range(2)
        ]
        assert kernel.is_subreaper()
        handles[0].signal(signal.SIGKILL)
        await end_of(handles[0])
        assert kernel.is_subreaper()
        handles[1].signal(signal.SIGKILL)
        await end_of(handles[1])
    assert not kernel.is_subreaper()


@linux_only
async def test_a_process_that_was_a_subreaper_stays_one():
    assert kernel.is_subreaper()
    await end_of(await LocalSpawner().spawn(sh("exit 0"), "x", 1))
    assert kernel.is_subreaper()


ORPHANS = """
import os, sys
if os.fork() == 0:
    if os.fork() == 0:
        os.write(1, b"%d" % os.getpid() + bytes([10]))
        sys.stdin.read()
    os._exit(0)
os.wait()
os.write(1, b"left" + bytes([10]))
sys.stdin.read()
"""


@linux_only
async def test_an_orphan_that_ended_by_itself_is_reaped_with_its_leader():
    with Wire() as wire:
        handle = await LocalSpawner().spawn(SpawnSpec(python(ORPHANS), fds=wire.fds), "x", 1)
        said = {wire.line(), wire.line()}
        orphan = int((said - {"left"}).pop())
        wait_until(lambda: kernel.facts(orphan).ppid == os.getpid(), what="the orphan's coming to us")
        os.kill(orphan, signal.SIGKILL)
        wait_until(lambda: kernel.facts(orphan).state == "Z", what="the orphan's end")
        handle.signal(signal.SIGKILL)
        await end_of(handle)
        assert kernel.facts(orphan) is None


def test_a_loop_that_was_closed_over_a_living_child(pidfds):
    async def start(spec, number):
        return await LocalSpawner().spawn(spec, "x", number)

    with Wire() as wire:
        left = asyncio.run(start(SpawnSpec(("/bin/cat",), fds={0: wire.stdin}), 1))
        assert left.pid in TABLE.alive()

        async def later():
            return await end_of(await start(sh("exit 7"), 2))

        assert asyncio.run(later()).code == 7
        wire.release()
        wait_until(lambda: TABLE.alive() == [], what="the end of the child whose loop is gone")
    wait_until(lambda: kernel.facts(left.pid) is None, what="its being reaped")
    assert not left._entry.exit.done()


def test_a_loop_that_is_closed_while_its_child_ends():
    async def start():
        await LocalSpawner().spawn(sh("exit 0"), "x", 1)

    for _ in range(5):
        asyncio.run(start())

    async def last():
        return await end_of(await LocalSpawner().spawn(sh("exit 7"), "x", 2))

    assert asyncio.run(last()).code == 7
    wait_until(lambda: TABLE.alive() == [], what="the ends of all")


def test_loops_in_several_threads():
    codes = []

    async def work(base):
        spawner = LocalSpawner()
        for number in range(10):
            handle = await spawner.spawn(sh(f"exit {base + number}"), "x", number)
            codes.append((await end_of(handle)).code)

    threads = [threading.Thread(target=lambda base=base: asyncio.run(work(base))) for base in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(codes) == list(range(30))
