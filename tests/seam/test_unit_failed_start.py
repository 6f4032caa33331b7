"""Starts that fail, and waiting for how a start went."""

import asyncio

import pytest

from rookery.errors import CommandNotFound, LinkError, ResourcesExhausted
from rookery.lifecycle.restart import RestartPolicy
from rookery.lifecycle.state import State
from rookery.testing.clock import let_run

MISSING = CommandNotFound(["prog"])
SHORT = ResourcesExhausted("no memory", argv=["prog"])
LINK = LinkError("the keeper is gone")


async def test_a_program_that_is_missing_on_a_manual_start_is_fatal_at_once(stage):
    stage.spawner.failures = [MISSING]
    unit = stage.unit()
    assert await unit.start() is True
    assert (unit.state, unit.pid, unit.reason) == (State.FATAL, None, str(MISSING))
    assert stage.story == ["starting", "fatal"]
    assert (unit.last_exit.reason, unit.last_exit.lifetime) == (str(MISSING), 0.0)
    await stage.clock.advance(1000)
    assert stage.spawner.started == []


async def test_a_program_that_is_missing_on_an_automatic_restart_is_tried_again(stage):
    unit = stage.unit()
    await unit.start()
    stage.spawner.failures = [MISSING, MISSING]
    await stage.crash()
    await stage.clock.advance(0.1)
    assert (unit.state, unit.reason) == (State.BACKOFF, str(MISSING))
    await stage.clock.advance(10)
    assert (unit.state, unit.generation) == (State.RUNNING, 4)


async def test_a_system_short_of_resources_is_tried_again_even_for_a_person(stage):
    stage.spawner.failures = [SHORT]
    unit = stage.unit()
    await unit.start()
    assert unit.state is State.BACKOFF
    await stage.clock.advance(0.1)
    assert (unit.state, unit.crashes) == (State.RUNNING, 1)
    assert stage.story == ["starting", "backoff", "starting", "running"]


async def test_never_again_means_fatal_when_the_system_is_short(stage):
    stage.spawner.failures = [SHORT]
    unit = stage.unit(policy=RestartPolicy(when="never"))
    await unit.start()
    assert unit.state is State.FATAL


@pytest.mark.parametrize("error", [MISSING, SHORT, LINK, OSError(28, "No space left")])
async def test_a_failed_start_puts_its_pipes_away(stage, error):
    stage.spawner.failures = [error]
    unit = stage.unit()
    await asyncio.gather(unit.start(), return_exceptions=True)
    assert stage.plumbing.calls[:2] == [("prepare", 1), ("finish", 1)]


async def test_a_lost_link_is_raised_to_whoever_asked(stage):
    stage.spawner.failures = [LINK]
    unit = stage.unit()
    with pytest.raises(LinkError):
        await unit.start()
    assert (unit.state, unit.reason) == (State.FATAL, str(LINK))
    assert await unit.start() is True
    assert unit.state is State.RUNNING


async def test_a_lost_link_on_an_automatic_restart_is_tried_again(stage, caplog):
    unit = stage.unit()
    await unit.start()
    stage.spawner.failures = [LINK, OSError(28, "No space left")]
    await stage.crash()
    await stage.clock.advance(0.1)
    assert (unit.state, unit.reason) == (State.BACKOFF, str(LINK))
    await stage.clock.advance(10)
    assert unit.state is State.RUNNING
    assert "web could not be started" in caplog.text


async def test_a_restart_that_cannot_start_is_fatal_and_the_old_copy_is_gone(stage):
    unit = stage.unit()
    await unit.start()
    stage.spawner.failures = [MISSING]
    await unit.restart()
    assert (unit.state, stage.spawner.alive) == (State.FATAL, [])


async def settles(stage, unit, *, crashes=0, min_uptime=2.0):
    settling = asyncio.ensure_future(unit.settled(crashes=crashes, min_uptime=min_uptime))
    await let_run()
    return settling


async def test_settled_when_it_has_been_up_long_enough(stage):
    unit = stage.unit()
    await unit.start()
    settling = await settles(stage, unit)
    await stage.clock.advance(1.9)
    assert not settling.done()
    await stage.clock.advance(0.2)
    assert await settling is True
    assert stage.clock.sleepers == 0
    assert await unit.settled(crashes=0, min_uptime=2.0) is True


async def test_not_settled_when_it_falls_over_in_time(stage):
    unit = stage.unit()
    await unit.start()
    settling = await settles(stage, unit)
    await stage.crash(after=1)
    assert await settling is False


async def test_not_settled_when_it_fell_over_before_we_looked_and_runs_again(stage):
    unit = stage.unit()
    crashes = unit.crashes
    await unit.start()
    await stage.crash()
    await stage.clock.advance(1)
    assert unit.state is State.RUNNING
    assert await unit.settled(crashes=crashes, min_uptime=0.0) is False


@pytest.mark.parametrize("error", [MISSING, SHORT])
async def test_not_settled_when_the_start_failed(stage, error):
    stage.spawner.failures = [error]
    unit = stage.unit()
    await unit.start()
    assert await unit.settled(crashes=0, min_uptime=2.0) is False


async def test_not_settled_when_it_is_stopped_meanwhile(stage):
    unit = stage.unit()
    await unit.start()
    settling = await settles(stage, unit)
    await unit.stop()
    assert await settling is False


async def test_not_settled_when_a_job_is_done(stage):
    unit = stage.unit(policy=RestartPolicy(when="on-failure"))
    await unit.start()
    settling = await settles(stage, unit)
    await stage.crash(code=0)
    assert await settling is False
    assert unit.state is State.EXITED


async def test_a_restart_meanwhile_begins_the_time_again(stage):
    unit = stage.unit()
    await unit.start()
    settling = await settles(stage, unit)
    await stage.clock.advance(1.5)
    await unit.restart()
    await stage.clock.advance(1.5)
    assert not settling.done()
    await stage.clock.advance(0.6)
    assert await settling is True


@pytest.mark.parametrize("when", [0, 3])
async def test_a_wait_that_is_cancelled_leaves_no_timer(stage, when):
    unit = stage.unit()
    await unit.start()
    settling = asyncio.ensure_future(unit.settled(crashes=0, min_uptime=2.0))
    for _ in range(when):
        await asyncio.sleep(0)
    settling.cancel()
    await let_run()
    assert (settling.cancelled(), stage.clock.sleepers) == (True, 0)
