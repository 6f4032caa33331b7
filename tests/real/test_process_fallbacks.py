"""Children where the kernel lacks something, at every moment that a task can be cancelled, and in nested libraries."""

import asyncio
import os
import sys

import pytest

from rookery import DISCARD, PIPE, run, spawn
from rookery._os import features, kernel
from rookery.process.reaper import TABLE
from rookery.process.spawn import spawn_process
from rookery.process.spec import SpawnSpec
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]


@pytest.fixture(
    params=["pidfd", "subreaper", "vfork", "start_clock", "epoll", "pidfd,subreaper,vfork,start_clock,epoll"]
)
def without(request, monkeypatch):
    was_subreaper = kernel.is_subreaper()
    if "subreaper" in request.param:
        kernel.set_subreaper(False)
    monkeypatch.setenv(features.WITHOUT, request.param)
    features.forget()
    yield request.param
    monkeypatch.undo()
    features.forget()
    kernel.set_subreaper(was_subreaper)
    wait_until(lambda: TABLE.alive() == [] and TABLE._thread is None, what="an empty wait table")


async def test_it_works_without(without):
    result = await run("/bin/sh", "-c", "sleep 1000 & echo $!; echo err >&2")
    assert (result.stderr, result.returncode) == ("err\n", 0)
    assert not kernel.is_alive(int(result.stdout))
    async with spawn("cat", stdin=PIPE) as child:
        await child.stdin.write("x\n")
        assert await anext(aiter(child.stdout)) == "x"
    assert child.returncode == 0  # it heard the end of its input
    async with spawn("sleep", "1000") as child:
        pass
    assert child.returncode == -15


def test_the_start_time_by_the_clock_is_the_kernels():
    features.forget()
    for _ in range(300):
        spawned = spawn_process(SpawnSpec(("/bin/sleep", "1000")), {})
        try:
            assert spawned.start_time == kernel.start_time(spawned.pid)
        finally:
            kernel.signal_process(spawned.pid, spawned.start_time, 9)
            os.waitpid(spawned.pid, 0)
            if spawned.pidfd >= 0:
                os.close(spawned.pidfd)
    assert features.known()["start_clock"]


@pytest.mark.parametrize("at", range(12))
async def test_a_block_that_is_cancelled_at_any_point_leaves_nothing(at):
    entered = 0

    async def work():
        nonlocal entered
        async with spawn("sh", "-c", "setsid sleep 1000 & exec sleep 1000", stdin=PIPE) as child:
            entered = child.pid
            await child.stdin.write("x")
            await asyncio.sleep(0)
        # What is stopped at the end of the block goes on being stopped.

    task = asyncio.ensure_future(work())
    for _ in range(at):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert TABLE.alive() == []
    assert entered == 0 or not kernel.is_alive(entered)


async def test_stopping_goes_on_when_who_asked_is_cancelled():
    child = await spawn("sleep", "1000", stdout=DISCARD, stderr=DISCARD)
    asking = asyncio.ensure_future(child.stop())
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await child.result()).signal == "SIGTERM"


def test_a_loop_that_ends_over_a_running_command_leaves_nothing():
    async def main():
        asyncio.ensure_future(run("sleep", "1000"))  # noqa: RUF006
        await asyncio.sleep(0.05)

    asyncio.run(main())
    assert TABLE.alive() == []


async def test_a_library_in_a_child_of_a_library():
    code = """
import asyncio
from rookery import spawn
async def main():
    child = await spawn("sh", "-c", "setsid sleep 1000 & echo $!; wait")
    print(await anext(aiter(child.stdout)), flush=True)
    await child.wait()
asyncio.run(main())
"""
    async with spawn(sys.executable, "-c", code) as library:
        inner = int(await anext(aiter(library.stdout)))
        assert kernel.is_alive(inner)
        await library.kill()
    wait_until(lambda: not kernel.is_alive(inner), what="the end of the inner child")
