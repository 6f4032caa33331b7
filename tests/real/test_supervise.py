"""Supervisor as a library, with real processes. The leak check looks after every one of these."""

import asyncio
import os
import signal
import sys
import time

import pytest

import rookery
from rookery import RestartPolicy, SpawnSpec, StopPlan, Supervisor
from rookery._base.ids import COOKIE, new_scope, parse_cookie
from rookery._os import features, kernel
from rookery.errors import CommandNotFound
from rookery.lifecycle.state import State
from rookery.testing import wait_until
from rookery.testing.wire import Wire, python

pytestmark = pytest.mark.real

SAY = """
import os, signal, sys
name = sys.argv[1]
def say(*words):
    os.write(1, (" ".join(map(str, words)) + chr(10)).encode())
def heard(*_):
    say(name, "stops")
    os._exit(0)
signal.signal(15, signal.SIG_IGN if "stubborn" in sys.argv else heard)
if "forks" in sys.argv and os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    name = "runaway"
    signal.signal(15, signal.SIG_DFL)
say(name, os.getpid())
sys.stdin.read()
os._exit(7)
"""
NAMES = ["db", "web", "worker"]


@pytest.fixture
def wire():
    with Wire() as wire:
        yield wire


@pytest.fixture(params=["pidfd", "no pidfd"])
def pidfds(request, monkeypatch):
    if request.param == "no pidfd":
        monkeypatch.setenv(features.WITHOUT, "pidfd")
    features.forget()
    yield
    monkeypatch.undo()
    features.forget()


def spec(wire, name, *words):
    return SpawnSpec(python(SAY, name, *words), env=dict(os.environ), fds=wire.fds)


async def born(wire, count=1):
    """(pid, start time) by name of those that say so next; the loop goes on meanwhile."""
    said = [(await asyncio.to_thread(wire.line)).split() for _ in range(count)]
    return {name: (int(pid), kernel.start_time(int(pid))) for name, pid in said}


def alive(*groups):
    return [one for group in groups for one in group.values() if kernel.is_alive(*one)]


async def until(unit, *states):
    """Wait until the unit is in one of the states."""
    async with asyncio.timeout(20):
        while unit.state not in states:
            await unit._changes.wait()


async def test_started_in_order_and_stopped_in_reverse(wire, pidfds):
    async with Supervisor() as supervisor:
        for name in NAMES:
            supervisor.add(name, spec(wire, name))
        for name in NAMES:
            await supervisor.start(name)
            assert list(await born(wire)) == [name]
        assert [unit.state for unit in supervisor] == [State.RUNNING] * 3
        await supervisor.stop()
        assert [wire.line() for _ in NAMES] == [f"{name} stops" for name in reversed(NAMES)]
        assert supervisor.is_quiet


async def test_a_command_alone_gets_our_environment_and_its_cookie(wire, monkeypatch):
    monkeypatch.setenv("OURS", "yes")
    scope = new_scope()
    async with Supervisor(scope=scope) as supervisor:
        unit = supervisor.add("web", ["/bin/cat"])
        unit._plumbing._spec = unit._plumbing._spec._replace(fds=wire.fds)
        await supervisor.start()
        # Exec has succeeded a moment before the kernel shows the new environment.
        wait_until(lambda: kernel.environ_value(unit.pid, "OURS"), 10.0, "its environment")
        assert kernel.environ_value(unit.pid, "OURS") == "yes"
        assert parse_cookie(kernel.environ_value(unit.pid, COOKIE)) == (scope, "web", 1)


async def test_what_crashes_is_started_again(wire, pidfds):
    async with Supervisor() as supervisor:
        unit = supervisor.add("web", spec(wire, "web"))
        await supervisor.start()
        first = await born(wire)
        os.kill(unit.pid, signal.SIGSEGV)
        second = await born(wire)
        assert first["web"] != second["web"]
        await until(unit, State.RUNNING)
        assert (unit.pid, unit.start_time) == second["web"]
        assert unit.last_exit.reason == "killed by SIGSEGV"
        assert (unit.restarts, unit.crashes) == (1, 1)
    assert not alive(first, second)


@pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")
async def test_a_runaway_of_a_crashed_copy_is_gone_before_the_next_copy_starts(wire):
    async with Supervisor() as supervisor:
        unit = supervisor.add("web", spec(wire, "web", "forks"))
        await supervisor.start()
        first = await born(wire, 2)
        seen = []
        supervisor.listen(lambda event: event.after is State.STARTING and seen.append(alive(first)))
        os.kill(unit.pid, signal.SIGKILL)
        second = await born(wire, 2)
        assert seen == [[]]
        assert set(second) == {"web", "runaway"}
        assert "left 1 behind" in unit.last_exit.reason
    assert not alive(first, second)


async def test_a_job_that_is_done_is_left_alone():
    async with Supervisor() as supervisor:
        unit = supervisor.add("job", ["/bin/true"], restart=RestartPolicy(when="on-failure"))
        await supervisor.start()
        await until(unit, State.EXITED)
        assert (unit.pid, unit.last_exit.status.code) == (None, 0)


async def test_a_program_that_is_missing():
    async with Supervisor() as supervisor:
        supervisor.add("lost", ["/no/such/program"])
        supervisor.add("good", ["/bin/cat"])
        await supervisor.start()
        assert [str(unit.state) for unit in supervisor] == ["fatal", "running"]
        assert str(CommandNotFound(["/no/such/program"])) == supervisor["lost"].reason


class Boom(Exception):
    pass


@pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")
async def test_an_exception_in_the_block_leaves_nothing(wire):
    there = {}

    async def block():
        async with Supervisor() as supervisor:
            supervisor.add("web", spec(wire, "web", "forks"))
            supervisor.add("stubborn", spec(wire, "stubborn", "stubborn"), stop=StopPlan(graceful_timeout=0.05))
            await supervisor.start()
            there.update(await born(wire, 3))
            raise Boom

    with pytest.raises(Boom):
        await block()
    assert len(there) == 3
    assert not alive(there)


@pytest.mark.parametrize("cancels", [1, 2])
async def test_cancelled_once_and_again_on_the_way_out(wire, cancels):
    stopping = asyncio.Event()
    started = asyncio.Event()

    async def block():
        async with Supervisor() as supervisor:
            supervisor.listen(lambda event: event.after is State.STOPPING and stopping.set())
            for name in NAMES:
                supervisor.add(name, spec(wire, name, "stubborn"), stop=StopPlan(graceful_timeout=0.1))
            await supervisor.start()
            started.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(block())
    async with asyncio.timeout(20):
        await started.wait()
        there = await born(wire, 3)
        task.cancel()
        await stopping.wait()
        if cancels == 2:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not alive(there)


INTERRUPTED = """
import sys
sys.path.insert(0, sys.argv[1])
import asyncio, os
from rookery.lifecycle.stop import StopPlan
from rookery.process.spec import SpawnSpec
from rookery.supervise.supervisor import Supervisor

async def main():
    async with Supervisor() as supervisor:
        for number in range(3):
            spec = SpawnSpec(tuple(sys.argv[2:]) + (f"child{number}", "stubborn"), fds={0: 0, 1: 1, 2: 2})
            supervisor.add(str(number), spec, stop=StopPlan(graceful_timeout=1000))
        supervisor.listen(lambda event: str(event.after) == "stopping" and os.write(1, b"stopping 0" + bytes([10])))
        await supervisor.start()
        await asyncio.Event().wait()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    os.write(1, b"interrupted 0" + bytes([10]))
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")
async def test_a_second_ctrl_c_kills_at_once_and_leaves_nothing(wire):
    argv = python(INTERRUPTED, os.path.dirname(os.path.dirname(rookery.__file__)), *python(SAY))
    async with Supervisor() as supervisor:
        own = supervisor.add("main", SpawnSpec(argv, fds=wire.fds), restart=RestartPolicy(when="never"))
        await supervisor.start()
        there = await born(wire, 3)
        os.kill(own.pid, signal.SIGINT)
        assert wire.line() == "stopping 0"
        began = time.monotonic()
        os.kill(own.pid, signal.SIGINT)
        while (line := wire.line()) != "interrupted 0":
            assert line == "stopping 0"
        await until(own, State.EXITED)
        assert time.monotonic() - began < 100  # not the grace of 1000 s
        assert not alive(there)


async def test_what_is_closed_runs_on(wire):
    supervisor = Supervisor()
    unit = supervisor.add("web", spec(wire, "web"))
    await supervisor.start()
    there = await born(wire)
    handle = unit._handle
    await supervisor.close()
    assert alive(there)
    handle.signal(signal.SIGKILL)
    await asyncio.wait_for(handle.wait(), 20)
