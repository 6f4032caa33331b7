"""What can be asked of known apps, alone and many at once."""

from __future__ import annotations

import asyncio
import signal

import pytest

from rookery import errors
from rookery.testing import FakeProcess


async def test_one_instance_of_two(world, words):
    await world.apply(world.spec(instances=2))
    assert words(await world.act("stop", "web:1")) == ["web:1 stopped"]
    assert world.states == {"web:0": "running", "web:1": "stopped"}
    assert [one.desired for one in world.apps.instances()] == ["running", "stopped"]
    assert words(await world.act("stop", "web")) == ["web:0 stopped", "web:1 already stopped"]
    assert words(await world.act("start", "web:0")) == ["web:0 started"]
    assert words(await world.act("start", "web")) == ["web:0 unchanged", "web:1 started"]
    assert words(await world.act("restart", "1")) == ["web:1 restarted"]


async def test_no_selector_is_a_usage_error(world):
    with pytest.raises(errors.UsageError, match="stop what"):
        await world.act("stop")


async def test_nothing_matched(world):
    await world.apply(world.spec())
    with pytest.raises(errors.NothingMatched, match="wbe"):
        await world.act("stop", "wbe")


async def test_delete_forgets(world, words):
    await world.apply(world.spec(instances=2))
    assert words(await world.act("delete", "web:0")) == ["web:0 deleted"]
    assert list(world.states) == ["web:1"]
    await world.act("delete", "web")
    assert world.apps.apps == {}
    assert world.alive == []


async def test_requests_for_one_app_wait_for_each_other(make_world):
    world = make_world(lambda: FakeProcess(ignores=[signal.SIGTERM]))
    await world.apply(world.spec())
    restarts = [world.began(world.acting("restart", "web"))]
    await world.let_run()
    restarts += [world.began(world.acting("restart", "web")) for _ in range(9)]
    await world.clock.advance(100)
    assert all(task.done() for task in restarts)
    # The first one began at once; those that waited behind it are one.
    assert len(world.spawner.started) == 3
    assert len(world.alive) == 1
    await world.apps.close()


async def test_apps_do_not_wait_for_each_other(make_world):
    world = make_world(lambda: FakeProcess(ignores=[signal.SIGTERM]))
    await world.apply(world.spec("slow"), world.spec("quick"))
    stopping = world.began(world.acting("stop", "slow"))
    await world.let_run()
    (outcome,) = await world.act("start", "quick")
    assert outcome.did == "unchanged"
    assert world.states["slow:0"] == "stopping"
    await world.clock.advance(20)
    await stopping
    await world.apps.close()


async def test_a_delete_in_the_queue_before_a_start_wins(world, words):
    await world.apply(world.spec())
    deleting = world.began(world.acting("delete", "web"))
    starting = world.began(world.acting("start", "web"))
    stopping = world.began(world.acting("stop", "web"))
    assert words((await deleting).outcomes) == ["web:0 deleted"]
    (outcome,) = (await starting).outcomes
    assert (outcome.ok, outcome.did, outcome.reason) == (False, "failed", "deleted by another request meanwhile")
    assert words((await stopping).outcomes) == ["web:0 deleted"]
    assert world.alive == []
    assert world.apps.instances() == []


async def test_a_delete_in_the_queue_before_a_description_makes_it_anew(world, words):
    await world.apply(world.spec())
    deleting = world.began(world.acting("delete", "web"))
    applying = world.began(world.applying(world.spec()))
    await deleting
    assert words((await applying).outcomes) == ["web:0 started"]
    assert [one.id for one in world.apps.instances()] == [1]
    assert world.alive == ["1"]


async def test_a_description_never_goes_to_an_app_that_is_no_longer_known(world):
    """Between the end of a delete and the work behind it in the queue somebody starts the name anew."""
    await world.apply(world.spec())
    old = world.apps.apps["web"]
    deleting = world.began(world.acting("delete", "web"))
    behind = world.began(world.applying(world.spec(instances=2)))
    while "web" in world.apps.apps:  # noqa: ASYNC110 - turn by turn: that very moment is what this is about
        await asyncio.sleep(0)
    sneaking = world.began(world.applying(world.spec(instances=2)))
    for task in (deleting, behind, sneaking):
        await task
    assert old.instances == [] or world.apps.apps["web"] is old
    assert len(world.alive) == 2
    assert len(world.apps.instances()) == 2


async def test_a_crash_before_a_restart_is_not_a_failure_of_the_restart(world, words):
    await world.apply(world.spec())
    world.process("web").exits(1)
    assert words(await world.act("restart", "web")) == ["web:0 restarted"]
    assert len(world.alive) == 1


@pytest.mark.parametrize("verb", ["start", "restart"])
async def test_what_was_held_is_let_go_for_those_that_are_meant_only(world, verb):
    await world.apply(world.spec(instances=2))
    await world.apps.stop_all()
    world.apps.stay()
    await world.act(verb, "web:1")
    app = world.apps.apps["web"]
    assert app.held is False
    assert [one.desired for one in app.instances] == ["stopped", "running"]


async def test_what_is_held_stays_held_when_a_part_is_stopped_or_deleted(world):
    await world.apply(world.spec(instances=3))
    await world.apps.stop_all()
    world.apps.stay()
    await world.act("stop", "web:0")
    await world.act("delete", "web:2")
    app = world.apps.apps["web"]
    assert app.held is True
    assert [one.desired for one in app.instances] == ["stopped", "running"]


async def test_an_operation_goes_on_when_its_caller_is_cancelled(make_world):
    world = make_world(lambda: FakeProcess(ignores=[signal.SIGTERM]))
    await world.apply(world.spec())
    restarting = world.began(world.acting("restart", "web"))
    await world.let_run()
    restarting.cancel()
    await world.clock.advance(20)
    assert world.states == {"web:0": "running"}
    assert len(world.spawner.started) == 2
    await world.apps.close()


async def test_a_stop_that_fails_is_told(world, monkeypatch):
    await world.apply(world.spec())

    async def fails():
        raise errors.StopFailed([1], 5.0)

    monkeypatch.setattr(world.apps.instances()[0].unit, "stop", fails)
    with pytest.raises(errors.StopFailed):
        await world.act("stop", "web")
