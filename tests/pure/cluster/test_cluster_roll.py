"""The algorithm of a roll, with members that are only names."""

from __future__ import annotations

import asyncio

import pytest

from rookery.cluster.roll import Joined, Roll


class FakeCrew:
    """story: what was asked, in order; fails: {(step, slot)}; gates: steps that wait until they are let through."""

    def __init__(self, slots, *, fails=(), gates=()):
        self.places = {slot: f"old{slot}" for slot in slots}
        self.story = []
        self.fails = set(fails)
        self.gates = {gate: asyncio.Event() for gate in gates}
        self.alive = set(self.places.values())
        self.most = 0

    async def _step(self, step, slot):
        self.story.append(f"{step} {slot}")
        if (step, slot) in self.gates:
            await self.gates[step, slot].wait()
        await asyncio.sleep(0)
        if (step, slot) in self.fails:
            raise OSError(f"{step} {slot}")

    async def reached(self, line):
        async with asyncio.timeout(5):
            while line not in self.story:  # noqa: ASYNC110 - each turn is a look
                await asyncio.sleep(0)

    async def begin(self, slot):
        if slot not in self.places:
            return None
        await self._step("begin", slot)
        self.alive.add(f"new{slot}")
        self.most = max(self.most, len(self.alive))
        return f"new{slot}"

    async def settle(self, slot, new):
        await self._step("settle", slot)

    async def commit(self, slot, new):
        old, self.places[slot] = self.places[slot], new
        await self._step("commit", slot)
        self.alive.discard(old)

    async def discard(self, slot, new):
        await self._step("discard", slot)
        self.alive.discard(new)


async def test_one_after_the_other_new_before_old():
    crew = FakeCrew(range(3))
    outcome = await Roll(crew).run(range(3))
    assert crew.story == [f"{step} {slot}" for slot in range(3) for step in ("begin", "settle", "commit")]
    assert (outcome.replaced, outcome.failed) == ([0, 1, 2], None)
    assert crew.most == 4
    assert crew.alive == {"new0", "new1", "new2"}


@pytest.mark.parametrize(("surge", "most"), [(1, 7), (2, 8), (3, 9), (100, 12)])
async def test_max_surge_is_how_many_more_there_are_at_most(surge, most):
    crew = FakeCrew(range(6))
    outcome = await Roll(crew, max_surge=surge).run(range(6))
    assert sorted(outcome.replaced) == list(range(6))
    assert crew.most == most


@pytest.mark.parametrize(("step", "discarded"), [("begin", False), ("settle", True)])
async def test_the_first_that_fails_ends_it(step, discarded):
    crew = FakeCrew(range(3), fails=[(step, 1)])
    outcome = await Roll(crew).run(range(3))
    assert (outcome.replaced, outcome.failed[0], str(outcome.failed[1])) == ([0], 1, f"{step} 1")
    assert ("discard 1" in crew.story) is discarded
    assert not any(line.endswith(" 2") for line in crew.story)
    assert crew.places == {0: "new0", 1: "old1", 2: "old2"}
    assert crew.alive == set(crew.places.values())


async def test_lanes_that_are_under_way_give_theirs_back():
    crew = FakeCrew(range(2), fails=[("begin", 0)], gates=[("settle", 1)])
    rolling = asyncio.ensure_future(Roll(crew, max_surge=2).run(range(2)))
    await crew.reached("settle 1")
    crew.gates["settle", 1].set()
    outcome = await rolling
    assert outcome.failed[0] == 0
    assert crew.places == {0: "old0", 1: "old1"}
    assert crew.alive == {"old0", "old1"}


async def test_a_slot_that_has_gone_meanwhile_is_passed_over():
    crew = FakeCrew([0, 2])
    assert (await Roll(crew).run([0, 1, 2])).replaced == [0, 2]


@pytest.mark.parametrize("step", ["settle", "begin", "commit"])
async def test_cancelled_it_leaves_one_in_each_slot(step):
    crew = FakeCrew(range(2), gates=[(step, 0)])
    rolling = asyncio.ensure_future(Roll(crew).run(range(2)))
    await crew.reached(f"{step} 0")
    rolling.cancel()
    await asyncio.sleep(0)
    crew.gates[step, 0].set()
    with pytest.raises(asyncio.CancelledError):
        await rolling
    assert crew.alive == set(crew.places.values())
    assert crew.places[0] == ("new0" if step == "commit" else "old0")  # a drain is not left in the middle


async def test_who_asks_for_the_same_joins():
    began, go = [], asyncio.Event()

    async def work():
        began.append(1)
        await go.wait()
        return len(began)

    joined = Joined()
    first, second = (asyncio.ensure_future(joined.run("reload", work)) for _ in range(2))
    other = asyncio.ensure_future(joined.run("another", work))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    assert began == [1]
    go.set()
    assert await second == 1
    assert await other == 2
    assert await joined.run("reload", work) == 3
    assert not joined.is_busy


async def test_closing_ends_what_is_under_way():
    joined = Joined()
    waiting = asyncio.ensure_future(joined.run("x", asyncio.Event().wait))
    await asyncio.sleep(0)
    await joined.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
