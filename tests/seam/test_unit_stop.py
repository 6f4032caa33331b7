"""Stopping a unit, in each state and by each kind of process."""

import asyncio
import signal

import pytest

from rookery.errors import StopFailed
from rookery.lifecycle.exit import ExitStatus
from rookery.lifecycle.state import State
from rookery.lifecycle.stop import KILL_WAIT, StopPlan
from rookery.testing import FakeProcess
from rookery.testing.clock import let_run

TERM, KILL = signal.SIGTERM, signal.SIGKILL


@pytest.fixture
async def running(stage):
    unit = stage.unit(stop_plan=StopPlan(graceful_timeout=7.0))
    await unit.start()
    await stage.clock.advance(1)
    stage.events.clear()
    return unit


async def test_a_stop(stage, running):
    assert await running.stop() is False
    assert (running.state, running.pid, running.uptime) == (State.STOPPED, None, None)
    assert running.last_exit.status == ExitStatus(signal=15, signal_name="SIGTERM")
    assert running.last_exit.lifetime == 1.0
    assert stage.spawner.last.signals == [TERM]
    assert stage.spawner.last.is_closed
    assert stage.story == ["stopping", "stopped"]
    assert running.reason == "stopped: killed by SIGTERM"


async def test_our_own_stop_is_no_crash_and_nothing_follows(stage, running):
    await running.stop()
    await stage.clock.advance(1000)
    assert (running.state, running.crashes, running.restarts, running.failures) == (State.STOPPED, 0, 0, 0)
    assert len(stage.spawner.started) == 1


async def test_what_is_stopped_stays_stopped(stage, running):
    await running.stop()
    stage.events.clear()
    assert await running.stop() is False
    assert stage.story == []


@pytest.mark.parametrize("plan", [StopPlan(graceful_timeout=7.0), StopPlan(graceful_timeout=7.0, scope="leader")])
async def test_sigterm_ignored_is_sigkill_after_exactly_the_grace(stage, plan):
    stage.made = {"ignores": [TERM]}
    unit = stage.unit(stop_plan=plan)
    await unit.start()
    stop = asyncio.ensure_future(unit.stop())
    await stage.clock.advance(6.999)
    assert stage.spawner.last.signals == [TERM]
    assert (unit.state, unit.pid) == (State.STOPPING, stage.spawner.last.pid)
    await stage.clock.advance(0.001)
    assert stage.spawner.last.signals == [TERM, KILL]
    assert await stop is True
    assert unit.reason == "stopped: killed by SIGKILL, it had to be killed"


async def test_no_grace_means_both_signals_at_once(stage, running):
    stage.spawner.last.ignores = {TERM}
    running.stop_plan = StopPlan(graceful_timeout=0)
    before = stage.clock.monotonic()
    assert await running.stop() is True
    assert stage.spawner.last.signals == [TERM, KILL]
    assert stage.clock.monotonic() == before


async def test_another_signal_may_be_the_polite_one(stage, running):
    running.stop_plan = StopPlan(signal=signal.SIGINT)
    await running.stop()
    assert stage.spawner.last.signals == [signal.SIGINT]


async def test_children_that_outlive_the_leader_are_killed_after_the_grace(stage):
    stage.made = {"children": 2}
    unit = stage.unit(stop_plan=StopPlan(graceful_timeout=7.0))
    await unit.start()
    stop = asyncio.ensure_future(unit.stop())
    await stage.clock.advance(6.9)
    assert len(stage.spawner.last.children) == 2
    await stage.clock.advance(0.2)
    assert stage.spawner.last.children == {}
    assert await stop is True


async def test_with_scope_leader_children_are_killed_as_soon_as_he_is_gone(stage):
    stage.made = {"children": 2}
    unit = stage.unit(stop_plan=StopPlan(graceful_timeout=7.0, scope="leader"))
    await unit.start()
    before = stage.clock.monotonic()
    stop = asyncio.ensure_future(unit.stop())
    await stage.clock.advance(1)
    assert stop.done()
    assert stage.spawner.last.children == {}
    assert unit.last_exit.lifetime <= stage.clock.monotonic() - before


async def test_a_stop_during_backoff_is_final(stage, running):
    await stage.crash()
    assert running.state is State.BACKOFF
    await running.stop()
    assert running.state is State.STOPPED
    assert stage.clock.sleepers == 0
    await stage.clock.advance(1000)
    assert (running.state, len(stage.spawner.started)) == (State.STOPPED, 1)


async def test_a_crash_at_the_moment_of_the_stop_is_no_crash(stage, running):
    stage.spawner.last.exits(1)  # the watcher has not had its turn
    assert await running.stop() is False
    await stage.clock.advance(1000)
    assert (running.state, running.crashes) == (State.STOPPED, 0)
    assert running.reason == "stopped: exited with code 1"


@pytest.mark.parametrize("how", ["fatal", "exited"])
async def test_a_stop_of_what_is_down_says_stopped(stage, how):
    unit = stage.unit()
    unit.recall(State[how.upper()], "as it was")
    await unit.stop()
    assert stage.story == ["stopped"]


class Undying(FakeProcess):
    """Hangs in the kernel until it is let go."""

    def signal(self, number):
        self.signals.append(number)
        return True


@pytest.fixture
async def undying(stage):
    stage.spawner._make = Undying
    unit = stage.unit(stop_plan=StopPlan(graceful_timeout=1.0))
    await unit.start()
    stop = asyncio.ensure_future(unit.stop())
    await stage.clock.advance(1.0 + KILL_WAIT)
    with pytest.raises(StopFailed) as raised:
        await stop
    assert raised.value.pids == (unit.pid,)
    assert (unit.state, unit.pid) == (State.STOPPING, stage.spawner.last.pid)
    stage.events.clear()
    return unit


async def test_what_outlives_sigkill_can_be_stopped_again(stage, undying):
    stop = asyncio.ensure_future(undying.stop())
    await let_run()
    stage.spawner.last.exits(0)
    await stop
    assert (undying.state, undying.pid) == (State.STOPPED, None)
    assert stage.story == ["stopped"]


async def test_what_outlives_sigkill_is_stopped_when_it_goes_after_all(stage, undying):
    stage.spawner.last.dies(KILL)
    await let_run()
    assert (undying.state, undying.pid, undying.crashes) == (State.STOPPED, None, 0)


async def test_no_second_copy_beside_what_outlives_sigkill(stage, undying):
    start = asyncio.ensure_future(undying.start())
    await stage.clock.advance(1.0 + KILL_WAIT)
    with pytest.raises(StopFailed):
        await start
    assert len(stage.spawner.started) == 1
    stage.spawner._make = FakeProcess
    start = asyncio.ensure_future(undying.start())
    await let_run()
    stage.spawner.last.exits(0)
    assert await start is True
    assert stage.spawner.most_alive == 1


async def test_what_the_kernel_forbids_to_signal_is_a_failed_stop(stage, running, monkeypatch):
    def forbidden(self, number):
        raise PermissionError

    monkeypatch.setattr(FakeProcess, "signal", forbidden)
    stop = asyncio.ensure_future(running.stop())
    await stage.clock.advance(7.0 + KILL_WAIT)
    with pytest.raises(StopFailed):
        await stop
    assert running.state is State.STOPPING


async def test_no_descriptor_to_look_with_is_not_taken_for_nobody_there(stage, running, monkeypatch):
    tree = stage.spawner.tree
    blind = True

    class Blind:
        def __init__(self, real):
            self.signal = real.signal
            self._real = real

        def members(self):
            if blind:
                raise OSError(24, "Too many open files")
            return self._real.members()

    monkeypatch.setattr(stage.spawner, "tree", lambda *args: Blind(tree(*args)))
    stage.spawner.last.children = {1: 0}
    stop = asyncio.ensure_future(running.stop())
    await stage.clock.advance(6.0)
    assert not stop.done()
    blind = False
    await stage.clock.advance(2.0)
    assert await stop is True
    assert stage.spawner.last.children == {}
