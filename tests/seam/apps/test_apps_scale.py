"""More and fewer instances."""

from __future__ import annotations

import asyncio
import signal

import pytest

from rookery import errors
from rookery.apps.scaling import instances_wanted, resized, steer_when_ready
from rookery.config.system_values import cpus
from rookery.control.messages import ScaleRequest
from rookery.testing import FakeProcess


@pytest.fixture
def scale(world):
    async def scale(instances, name="web"):
        request = ScaleRequest(name=name, instances=instances, wait="started")
        return [f"{one.name}:{one.index} {one.did}" for one in (await world.apps.scale(request)).outcomes]

    return scale


@pytest.mark.parametrize(
    ("text", "present", "count"),
    [
        ("4", 1, 4),
        (4, 1, 4),
        ("+2", 1, 3),
        ("-1", 3, 2),
        ("4", 4, 4),
        ("max", 9, cpus()),
        ("half", 9, max(1, cpus() // 2)),
    ],
)
def test_numbers(text, present, count):
    assert instances_wanted(text)(present) == count


@pytest.mark.parametrize("text", ["", "x", "1.5", "+", "--1", "+-1", "1 ", "Max", "٣", "1e3"])
def test_what_is_no_number(text):
    with pytest.raises(errors.UsageError, match="no number of instances"):
        instances_wanted(text)


@pytest.mark.parametrize(("text", "present"), [("0", 1), ("-1", 1), ("-5", 2), ("10001", 1), ("+10000", 1)])
def test_numbers_that_cannot_be(text, present):
    with pytest.raises(errors.UsageError):
        instances_wanted(text)(present)


@pytest.mark.parametrize(
    ("indexes", "count", "surplus", "missing"),
    [
        ([0], 3, [], [1, 2]),
        ([0, 1, 2], 1, [1, 2], []),
        ([0, 2], 3, [], [1]),
        ([3], 3, [], [0, 1]),
        ([1, 3], 1, [3], []),
        ([0, 1], 2, [], []),
    ],
)
def test_which_go_and_which_come(indexes, count, surplus, missing):
    assert resized(indexes, count) == (surplus, missing)


async def test_up_and_down(world, scale):
    await world.apply(world.spec())
    first = world.process("web:0")
    assert await scale("+2") == ["web:1 started", "web:2 started"]
    assert await scale("3") == []
    assert await scale(1) == ["web:1 deleted", "web:2 deleted"]
    assert world.states == {"web:0": "running"}
    assert first.is_alive
    assert world.apps.apps["web"].spec.instances == 1
    assert world.apps.apps["web"].saved().spec.instances == 1


async def test_what_goes_is_stopped_gracefully(make_world):
    world = make_world(lambda: FakeProcess(ignores=[signal.SIGTERM]))
    await world.apply(world.spec(instances=2))
    last = world.process("web:1")
    scaling = world.began(world.apps.scale(ScaleRequest(name="web", instances=1, wait="started")))
    await world.let_run()
    assert last.signals == [signal.SIGTERM]
    assert last.is_alive
    await world.clock.advance(11)
    await scaling
    assert world.states == {"web:0": "running"}
    await world.apps.close()


async def test_a_stopped_app_gets_stopped_instances(world, scale):
    await world.apply(world.spec())
    await world.act("stop", "web")
    assert await scale(3) == ["web:1 added", "web:2 added"]
    assert set(world.states.values()) == {"stopped"}


async def test_twice_one_more_is_two_more(world):
    await world.apply(world.spec())
    one_more = ScaleRequest(name="web", instances="+1", wait="started")
    await asyncio.gather(*(world.apps.scale(one_more) for _ in range(3)))
    assert len(world.alive) == 4


async def test_who_is_no_app(world, scale):
    await world.apply(world.spec())
    with pytest.raises(errors.NothingMatched):
        await scale(2, name="wbe")
    with pytest.raises(errors.UsageError, match="no app's name"):
        await scale(2, name="web:0")


async def test_an_app_that_is_deleted_meanwhile(world):
    await world.apply(world.spec())
    deleting = world.began(world.acting("delete", "web"))
    await asyncio.sleep(0)
    with pytest.raises(errors.NothingMatched, match="deleted by another"):
        await world.apps.scale(ScaleRequest(name="web", instances=2))
    await deleting
    assert world.alive == []


async def test_connections_come_to_new_ones_in_their_order_when_they_are_ready(world, make_shop):
    shop = make_shop(world)
    await world.apply(shop.spec(instances=4))
    steered = []
    shop.app.door.steer = lambda edition, slots: steered.append(slots)
    first, second, third, fourth = shop.one
    shop.says(first.copy)
    steering = asyncio.ensure_future(steer_when_ready(shop.app, [second, third, fourth], world.apps.events))
    shop.says(third.copy)
    await world.let_run()
    assert steered == []
    shop.says(second.copy)
    await world.let_run()
    assert steered == [2, 3]
    await world.act("delete", "web:3")
    await steering
    assert steered == [2, 3]


async def test_what_fails_beside_everything_else_is_told(world, caplog):
    async def fails():
        raise errors.StopFailed([7], 5.0)

    world.apps._keep(fails())
    await world.let_run()
    told = [record.getMessage() for record in caplog.records if record.name == "rookery.apps.settle"]
    assert ["processes 7 are still there" in line for line in told] == [True]
