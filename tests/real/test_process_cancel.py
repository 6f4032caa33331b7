"""Cancelled at every await there is, one after the other, in each way a task can be: nothing is left alive."""

import asyncio
import itertools
import os
import sys
from contextvars import copy_context
from pathlib import Path

import pytest

from rookery import PIPE, ProcessManager, run, shell, spawn
from rookery._base.ids import new_scope
from rookery._os import kernel
from rookery.process.reaper import TABLE
from rookery.testing import wait_until

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc"),
]

MARK = "CANCEL_TEST"
# It ends by itself when it is not cancelled; what it leaves in a session of its own does not.
TREE = "setsid sleep 1000 & sleep 1000 & read line; echo $line"
ANSWERS = Path(__file__).parent / "programs" / "workers" / "answers.py"


class CancelledAt:
    """Runs a coroutine in the task that awaits this, and cancels that task where the coroutine waits for the n-th time.

    pending: while what it waits for is pending; done: in the moment after that is done, before the task hears of it;
    twice: as pending, and again at the next await.
    """

    def __init__(self, inner, at, way):
        self.inner, self.at, self.way = inner, at, way
        self.has_cancelled = False

    def __await__(self):
        task = asyncio.current_task()
        steps = self.inner.__await__()
        value, error = None, None
        for number in itertools.count():
            try:
                waits_for = steps.throw(error) if error is not None else steps.send(value)
            except StopIteration as end:
                return end.value
            is_here = number == self.at or (self.way == "twice" and number == self.at + 1)
            if is_here:
                self.has_cancelled = True
                if self.way == "done" and waits_for is not None:
                    waits_for.add_done_callback(lambda _: task.cancel(), context=copy_context())
                else:
                    task.cancel()
            value, error = None, None
            try:
                value = yield waits_for
            except BaseException as caught:
                error = caught


async def runs(env):
    assert (await run("/bin/sh", "-c", TREE, input="x\n", env=env, graceful_timeout=1)).stdout == "x\n"


async def runs_fed_and_teed(env):
    async def pieces():
        for piece in ("x", "y\n"):
            await asyncio.sleep(0)
            yield piece

    result = await run("/bin/sh", "-c", TREE, input=pieces(), env=env, timeout=60, idle_timeout=60)
    assert result.stdout == "xy\n"


async def shells(env):
    await shell(TREE + "; echo {x}", {"x": "'"}, input="x\n", env=env)


async def spawns(env):
    child = await spawn("/bin/sh", "-c", TREE, stdin=PIPE, env=env)
    try:
        await child.stdin.write("x\n")
        assert await anext(aiter(child.stdout)) == "x"
        await child.wait()
        await child.result()
    finally:
        await child.leave(is_hurried=True)


async def enters(env):
    async with spawn("/bin/sh", "-c", TREE, stdin=PIPE, env=env) as child:
        await child.stdin.write("x\n")
        async for line in child.stdout:
            assert line == "x"
        await child.wait()


async def stops(env):
    async with spawn("/bin/sh", "-c", f"echo up; {TREE}", stdin=PIPE, env=env) as child:
        assert await anext(aiter(child.stdout)) == "up"
        await child.stop()


async def pipes(env):
    stages = [spawn("/bin/sh", "-c", "setsid sleep 1000 & echo x", env=env), spawn("cat", env=env)]
    assert (await run(stages[0] | stages[1])).stdout == "x\n"


async def enters_a_pipeline(env):
    tree = spawn("/bin/sh", "-c", TREE, stdin=PIPE, env=env)
    async with tree | spawn("cat", env=env) as running:
        await running.stdin.write("x\n")
        assert await running.stdout.read() == "x\n"
        await running.result()


async def manages(env):
    async with ProcessManager() as manager:
        await manager.run("/bin/sh", "-c", TREE, input="x\n", env=env)
        child = await manager.spawn("/bin/sh", "-c", TREE, stdin=PIPE, env=env)
        await child.process.stdin.write("x\n")
        await child.process.wait()
        await manager.spawn("sleep", "1000", env=env)
        await manager.terminate_all()


async def manages_workers(env):
    async with ProcessManager() as manager:
        worker = await manager.fork(ANSWERS, env=env)
        assert await manager.request(worker.id, {"type": "add", "a": 1, "b": 2}) == 3


def left(mark):
    return [one.pid for one in kernel.processes() if kernel.environ_value(one.pid, MARK) == mark]


@pytest.mark.parametrize("way", ["pending", "done", "twice"])
@pytest.mark.parametrize(
    "work",
    [
        runs, runs_fed_and_teed, shells, spawns, enters, stops, pipes, enters_a_pipeline, manages, manages_workers,
    ],
    ids=lambda work: work.__name__,
)  # fmt: skip
async def test_cancelled_at_every_await_nothing_is_left(work, way):
    for at in range(200):
        mark = new_scope()
        cancelling = CancelledAt(work({MARK: mark}), at, way)

        async def awaits(cancelling=cancelling):
            return await cancelling

        task = asyncio.ensure_future(awaits())
        await asyncio.wait({task})
        assert TABLE.alive() == [], f"a child is left by a cancellation at await {at}"
        assert left(mark) == [], f"something is left by a cancellation at await {at}"
        if not cancelling.has_cancelled:
            await task  # it has come to its end undisturbed: every await was one to be cancelled at
            assert at > 0
            return
        # A cancellation after all was done, and the result was there, may come too late to be seen.
        assert task.cancelled() or way == "done", f"await {at}: {task}"
    raise AssertionError("it does not come to an end")


@pytest.mark.parametrize("work", [runs, enters, pipes, manages], ids=lambda work: work.__name__)
def test_a_loop_that_is_stopped_at_every_turn_leaves_nothing(work):
    """Not at an await of the task: at any turn of the event loop, by who tears it down."""
    for at in itertools.chain(range(12), itertools.count(12, 7)):
        mark = new_scope()
        is_over = False

        async def main(at=at, mark=mark):
            nonlocal is_over
            task = asyncio.ensure_future(work({MARK: mark}))
            for _ in range(at):
                if task.done():
                    is_over = True
                    await task
                await asyncio.sleep(0 if at < 40 else 0.002)

        asyncio.run(main())
        wait_until(lambda mark=mark: left(mark) == [], what=f"the end of all after turn {at}")
        assert TABLE.alive() == []
        if is_over:
            return
        assert at < 400, os.getpid()
