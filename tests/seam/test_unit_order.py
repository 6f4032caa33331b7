"""Operations that meet: one after the other, in the order asked for, whoever goes away meanwhile."""

import asyncio
import signal

import pytest

from rookery.errors import UsageError
from rookery.lifecycle.state import State
from rookery.lifecycle.stop import StopPlan
from rookery.testing import FakeProcess
from rookery.testing.clock import let_run

TERM = signal.SIGTERM


async def test_a_stop_during_a_start_waits_for_it(stage):
    unit = stage.unit()
    start = asyncio.ensure_future(unit.start())
    await asyncio.sleep(0)
    stop = asyncio.ensure_future(unit.stop())
    assert await start is True
    await stop
    assert stage.story == ["starting", "running", "stopping", "stopped"]
    assert stage.spawner.alive == []


async def test_a_start_during_a_stop_waits_for_it(stage):
    stage.made = {"ignores": [TERM]}
    unit = stage.unit()
    await unit.start()
    stop = asyncio.ensure_future(unit.stop())
    await let_run()
    assert unit.state is State.STOPPING
    start = asyncio.ensure_future(unit.start())
    await let_run()
    assert unit.state is State.STOPPING
    await stage.clock.advance(60)
    assert await stop is True
    assert await start is True
    assert (unit.state, unit.generation, stage.spawner.most_alive) == (State.RUNNING, 2, 1)


async def test_ten_restarts_at_once_are_one_orderly_sequence(stage):
    stage.made = {"ignores": [TERM]}
    unit = stage.unit()
    await unit.start()
    stage.events.clear()
    restarts = [asyncio.ensure_future(unit.restart()) for _ in range(10)]
    await stage.clock.advance(1000)
    await asyncio.gather(*restarts)
    assert stage.story == ["stopping", "stopped", "starting", "running"] * 10
    assert stage.spawner.most_alive == 1
    assert len(stage.spawner.started) == 11
    assert unit.restarts == 10


async def test_a_crash_between_restarts_makes_no_third_copy(stage):
    unit = stage.unit()
    await unit.start()
    restarts = [asyncio.ensure_future(unit.restart()) for _ in range(3)]
    stage.spawner.last.exits(1)
    await asyncio.gather(*restarts)
    await stage.clock.advance(100)
    assert (stage.spawner.most_alive, len(stage.spawner.alive), unit.generation) == (1, 1, 4)


async def test_a_start_during_backoff_does_not_wait_and_the_delay_is_dropped(stage):
    unit = stage.unit()
    await unit.start()
    await stage.crash()
    assert await unit.start() is True
    assert unit.state is State.RUNNING
    assert stage.clock.sleepers == 0
    await stage.clock.advance(100)
    assert len(stage.spawner.started) == 2


async def test_a_delay_that_is_over_while_others_have_their_turn_does_not_shorten_the_next(stage):
    """stop, start and crash get in between the end of a delay and its turn: another delay has begun by then."""
    unit = stage.unit()
    await unit.start()
    await stage.crash()
    async with unit._turns.lock:
        others = [asyncio.ensure_future(one) for one in (unit.stop(), unit.start())]
        await let_run()
        await stage.clock.advance(0.2)  # the delay is over, its turn comes third
    await asyncio.gather(*others)
    await stage.crash()
    started = len(stage.spawner.started)
    assert unit.state is State.BACKOFF
    await stage.clock.advance(0.05)
    assert len(stage.spawner.started) == started
    await stage.clock.advance(0.1)
    assert len(stage.spawner.started) == started + 1


async def test_a_stale_delay_never_starts_what_backs_off_anew(stage):
    unit = stage.unit()
    unit.resume_backoff("first")
    stale = unit._delay
    await unit.stop()
    unit.state = State.STOPPED
    unit._history.failures = 5
    await unit.start()
    await stage.crash()
    assert unit.state is State.BACKOFF
    await unit._turns.take(lambda: unit._delay_over(stale))
    assert unit.state is State.BACKOFF


OPERATIONS = ["start", "stop", "restart"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("turns", list(range(1, 14)))
async def test_a_caller_cancelled_at_any_await_changes_nothing(stage, operation, turns):
    unit = stage.unit(stop_plan=StopPlan(graceful_timeout=1.0))
    if operation != "start":
        stage.made = {"ignores": [TERM]}
        await unit.start()
    caller = asyncio.ensure_future(getattr(unit, operation)())
    for _ in range(turns):
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await stage.clock.advance(10)
    wanted = {"start": (State.RUNNING, 1), "stop": (State.STOPPED, 0), "restart": (State.RUNNING, 1)}[operation]
    assert (unit.state, len(stage.spawner.alive)) == wanted
    assert stage.spawner.most_alive == 1
    assert stage.clock.sleepers == 0
    assert unit._turns._tasks <= {task for task in unit._turns._tasks if "ended" in repr(task)}


async def test_close_leaves_no_timer_and_no_process_is_touched(stage):
    stage.made = {"ignores": [TERM]}
    unit = stage.unit()
    await unit.start()
    settling = asyncio.ensure_future(unit.settled(crashes=0, min_uptime=5.0))
    await let_run()
    await unit.close()
    settling.cancel()
    await let_run()
    assert stage.clock.sleepers == 0
    assert (stage.spawner.last.is_alive, stage.spawner.last.signals) == (True, [])


async def test_close_during_backoff_leaves_no_timer(stage):
    unit = stage.unit()
    await unit.start()
    await stage.crash()
    await unit.close()
    assert stage.clock.sleepers == 0


async def test_close_in_the_middle_of_a_stop_lets_the_process_go_on(stage):
    # The manager leaves for its successor, which goes on with the stop: no SIGKILL before the grace is over.
    stage.made = {"ignores": [TERM]}
    unit = stage.unit()
    await unit.start()
    stop = asyncio.ensure_future(unit.stop())
    await let_run()
    await unit.close()
    with pytest.raises(UsageError, match="'web' has been closed"):
        await stop
    assert (stage.spawner.last.is_alive, stage.spawner.last.signals) == (True, [TERM])


async def test_a_loop_that_is_torn_down_in_the_middle_of_a_stop_kills(stage):
    stage.made = {"ignores": [TERM], "children": 2}
    unit = stage.unit()
    await unit.start()
    stop = asyncio.ensure_future(unit.stop())
    await let_run()
    for task in unit._turns._tasks:
        task.cancel()
    await asyncio.gather(stop, return_exceptions=True)
    assert (stage.spawner.alive, stage.spawner.last.children) == ([], {})


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_nothing_can_be_asked_of_a_closed_unit(stage, operation):
    unit = stage.unit()
    await unit.close()
    with pytest.raises(UsageError):
        await getattr(unit, operation)()
    assert stage.spawner.started == []


async def test_the_end_drops_the_starts_that_wait_behind_it(stage):
    unit = stage.unit()
    await unit.start()
    waiting = [asyncio.ensure_future(unit.restart()) for _ in range(3)]
    await asyncio.sleep(0)
    end = asyncio.ensure_future(unit.end())
    await asyncio.sleep(0)
    waiting.append(asyncio.ensure_future(unit.start()))
    got = await asyncio.gather(end, *waiting, return_exceptions=True)
    assert got[0] is None
    assert [type(one) for one in got[1:]] == [UsageError] * 4
    assert (stage.spawner.alive, unit.state) == ([], State.STOPPED)


async def test_killing_now_needs_no_turn(stage):
    stage.spawner._make = lambda: FakeProcess(ignores=[TERM], children=1)
    unit = stage.unit()
    await unit.start()
    async with unit._turns.lock:
        await unit.kill()
    assert (stage.spawner.alive, stage.spawner.last.children) == ([], {})
    await let_run()
    await stage.clock.advance(100)
    assert len(stage.spawner.started) == 1
