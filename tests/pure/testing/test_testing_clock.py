import asyncio

import pytest

from rookery._base.clock import SystemClock
from rookery.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


async def woken(clock, naps):
    log = []

    async def nap(name, seconds):
        await clock.sleep(seconds)
        log.append((name, clock.monotonic()))

    return log, [asyncio.ensure_future(nap(name, seconds)) for name, seconds in naps.items()]


async def test_time_stands_still_until_moved(clock):
    log, tasks = await woken(clock, {"a": 1.0})
    await clock.advance(0.999)
    assert log == []
    assert clock.sleepers == 1
    await clock.advance(0.001)
    assert log == [("a", 1001.0)]
    assert clock.sleepers == 0
    await asyncio.gather(*tasks)


async def test_sleepers_wake_in_their_order_each_at_its_own_moment(clock):
    log, tasks = await woken(clock, {"late": 3.0, "early": 1.0, "as early": 1.0})
    await clock.advance(10)
    assert log == [("early", 1001.0), ("as early", 1001.0), ("late", 1003.0)]
    assert clock.monotonic() == 1010.0
    await asyncio.gather(*tasks)


async def test_who_sleeps_again_on_the_way_wakes_on_the_way(clock):
    ticks = []

    async def tick():
        for _ in range(3):
            await clock.sleep(1.0)
            ticks.append(clock.monotonic())

    task = asyncio.ensure_future(tick())
    await clock.advance(10)
    assert ticks == [1001.0, 1002.0, 1003.0]
    await task


async def test_a_cancelled_sleeper_is_none(clock):
    log, (task,) = await woken(clock, {"a": 1.0})
    await clock.advance(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert clock.sleepers == 0
    await clock.advance(5)
    assert log == []


@pytest.mark.parametrize("seconds", [0, -1])
async def test_no_time_to_sleep_gives_others_a_turn(clock, seconds):
    log, (task,) = await woken(clock, {"a": seconds})
    await task
    assert log == [("a", 1000.0)]
    assert clock.sleepers == 0


async def test_wall_time_moves_along_and_can_be_stepped(clock):
    await clock.advance(5)
    assert clock.wall() == 1_700_000_005.0
    clock.set_wall(10.0)
    assert (clock.wall(), clock.monotonic()) == (10.0, 1005.0)


async def test_the_systems_clock_moves_by_itself():
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.01)
    await clock.sleep(-1)
    assert clock.monotonic() >= before + 0.01
    assert clock.wall() > 1_700_000_000
