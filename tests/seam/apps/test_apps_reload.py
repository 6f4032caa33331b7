"""A reload, new before old: what is ended when, what is written down, and how the next manager goes on with it."""

from __future__ import annotations

import asyncio
import signal

import msgspec
import pytest

from rookery.apps.restore import restore
from rookery.apps.state import SavedApp, SavedEdition, SavedState
from rookery.cluster import stats
from rookery.control.messages import StartRequest
from rookery.testing import FakeProcess


def saved_now(shop):
    return [one.saved(0.0) for one in shop.one]


async def test_new_before_old_one_slot_after_the_other(shop, world, words):
    began = world.began(world.act("reload", "web"))
    first = await shop.rising()
    assert shop.told == [[], [], []]
    assert shop.one[1].rising is None
    assert [one.pending for one in saved_now(shop)] == ["reload", "reload"]
    await shop.proven(first)
    assert shop.told == [[signal.SIGTERM], [], [], []]
    assert [one.pending for one in saved_now(shop)] == ["", "reload"]
    second = await shop.rising(1)
    shop.says(second)  # what one has shown the other need not show again
    await world.let_run()
    assert words(await began) == ["web:0 reloaded", "web:1 reloaded"]
    assert shop.told == [[signal.SIGTERM], [signal.SIGTERM], [], []]
    assert [one.copy for one in shop.one] == [first, second]


async def test_generations_never_meet(shop, world):
    began = world.began(world.act("reload", "web:0"))
    first = await shop.rising()
    shop.process(shop.one[0].copy).dies()  # the old one falls meanwhile, and is started again
    await world.clock.advance(5)
    await world.let_run()
    started = [(key, generation) for _, key, generation in world.spawner.started]
    assert len(started) == len(set(started)) == 4
    shop.says(shop.one[0].copy)
    await shop.proven(first)
    await began


async def test_one_that_falls_is_given_up_and_nobody_else_is_touched(shop, world):
    began = world.began(world.act("reload", "web"))
    first = await shop.rising()
    shop.process(first).exits(3)
    await world.let_run()
    failed, kept = await began
    assert (failed.did, failed.ok, failed.reason, failed.exit.code) == ("failed", False, "exited with code 3", 3)
    assert failed.exit.stderr == ("last words",)
    assert (kept.did, kept.ok) == ("kept", True)
    assert shop.told[:2] == [[], []]
    assert all(not one.beside and not one.pending for one in shop.one)


async def test_one_that_falls_after_it_was_ready(shop, world):
    began = world.began(world.act("reload", "web"))
    first = await shop.rising()
    shop.says(first)
    await world.let_run()
    await world.clock.advance(0.5)
    shop.process(first).exits(7)
    await world.let_run()
    assert [one.reason for one in await began] == ["it was ready, and then exited with code 7", ""]
    assert shop.told[:2] == [[], []]


async def test_another_description_counts_when_all_are_replaced(shop, world, words):
    before = shop.app.spec
    began = world.began(world.apply(shop.spec(env={"A": "2"})))
    first = await shop.rising()
    assert shop.app.spec == before
    assert shop.app.saved().coming.spec.env == {"A": "2"}
    assert world.spawner.started[-1][0].env["A"] == "2"
    await shop.proven(first)
    shop.says(await shop.rising(1))
    await world.let_run()
    assert words(await began) == ["web:0 reloaded", "web:1 reloaded"]
    assert (shop.app.spec.env, shop.app.coming) == ({"A": "2"}, None)


async def test_another_description_that_fails_at_the_second_slot_is_taken_back(shop, world):
    began = world.began(world.apply(shop.spec(env={"A": "2"})))
    await shop.proven(await shop.rising())
    shop.process(await shop.rising(1)).exits(1)
    await world.let_run()
    back = await shop.rising(0)
    assert "A" not in world.spawner.started[-1][0].env
    await shop.proven(back)
    assert [one.did for one in await began] == ["kept", "failed"]
    assert (shop.app.spec.env, shop.app.coming) == ({}, None)


async def test_an_earlier_copy_that_will_not_go_does_not_stop_it(shop, world):
    old = shop.one[0].copy
    began = world.began(world.act("reload", "web"))
    await world.let_run()
    old_process = shop.process(old)
    old_process.signal = lambda number: False  # it hangs in the kernel
    await shop.proven(await shop.rising())
    for _ in range(12):
        await world.clock.advance(5)
    second = await shop.rising(1)
    shop.says(second)
    await world.let_run()
    assert [one.did for one in await began] == ["reloaded", "reloaded"]
    assert shop.one[0].beside == [old]
    old_process.exits(0)


async def test_a_reload_during_a_reload_joins_it(shop, world):
    first = world.began(world.act("reload", "web"))
    await shop.rising()
    second = world.began(world.act("reload", "web"))
    await shop.proven(await shop.rising())
    shop.says(await shop.rising(1))
    await world.let_run()
    assert [one.pid for one in await first] == [one.pid for one in await second]
    assert len(world.spawner.started) == 4


async def test_a_stop_ends_a_reload(shop, world, words):
    reload = world.began(world.act("reload", "web"))
    await shop.rising()
    assert words(await world.act("stop", "web")) == ["web:0 stopped", "web:1 stopped"]
    assert [one.did for one in await reload] == ["failed", "kept"]
    assert world.alive == []
    assert world.keep.fds == {}


async def test_who_leaves_in_the_middle_touches_nobody(shop, world):
    world.began(world.act("reload", "web"))
    await shop.rising()
    await world.apps.close()
    await world.let_run()
    assert shop.told == [[], [], []]
    assert [name.split("/", 2)[0] for name in world.keep.fds] == ["listen"]


async def test_sockets_are_kept_while_somebody_is_to_serve(shop, world):
    (name,) = world.keep.fds
    assert name == "listen/web/-1/0/127.0.0.1:0"
    await world.act("stop", "web:0")
    assert list(world.keep.fds) == [name]
    await world.act("stop", "web:1")
    assert world.keep.fds == {}


class Survivor:
    def __init__(self, generation):
        self.process, self.generation = FakeProcess(), generation
        self.started_at, self.has_ended = 1_700_000_000.0 - 50, False

    def handle(self):
        return self.process

    async def recover(self, plumbing):
        plumbing.page = plumbing.page or None


@pytest.fixture
async def resumed(world, make_world, make_shop):
    """What the next manager makes of a state in which a slot has two."""
    worlds = []

    async def act(shop, *, beside, coming=None, pending="reload"):
        saved = shop.one[0].saved(0.0)
        saved.pending, saved.pid = pending, 77
        app = SavedApp(name="web", spec=shop.spec(instances=1), base_env={}, desired="running", created=5.0)
        if coming is not None:
            app.coming = SavedEdition(spec=coming, base_env={})
        saved.ready = True
        state = SavedState(scope="0badcafe", boot_id="b", epoch=3, next_id=5, saved_at=1.0, apps=[app])
        state.instances = [saved]
        after = make_world()
        survivors = {"0": Survivor(saved.generation)}
        found = {"0": [Survivor(one) for one in beside]}
        await restore(after.apps, state, survivors, {}, beside=found, is_same_boot=True)
        next_shop = make_shop(after)
        next_shop.seen = list(next_shop.app)
        await after.let_run()
        worlds.append(after)
        return next_shop, survivors["0"].process, [one.process for one in found["0"]]

    yield act
    for one in worlds:
        await one.apps.close()
        one.keep.drop(list(one.keep.fds))


async def test_a_reload_that_another_manager_began_goes_on(shop, resumed):
    after, old, (new,) = await resumed(shop, beside=[2], coming=shop.spec(instances=1, env={"A": "2"}))
    rising = after.one[0].rising
    assert (rising.unit.pid, rising.edition.spec.env) == (new.pid, {"A": "2"})
    assert old.signals == []
    await after.proven(rising)
    assert old.signals == [signal.SIGTERM]
    assert (after.one[0].copy, after.app.spec.env, after.app.coming) == (rising, {"A": "2"}, None)


async def test_one_of_before_that_falls_ends_the_reload(shop, resumed):
    after, old, (new,) = await resumed(shop, beside=[2])
    new.exits(1)
    await after.world.let_run()
    assert old.signals == []
    assert (after.one[0].rising, after.one[0].pending) == (None, "")


async def test_one_that_was_to_go_is_ended(shop, resumed):
    saved = shop.one[0]
    saved.copy.unit.generation = 2
    after, present, (earlier,) = await resumed(shop, beside=[1], pending="")
    assert (present.signals, earlier.signals) == ([], [signal.SIGTERM])
    assert after.one[0].leaving == []
    saved.copy.unit.generation = 1


async def test_without_sockets_one_after_the_other_up_to_the_first_that_falls(world):
    await world.apply(world.spec("plain", instances=3))
    began = world.began(world.act("reload", "plain"))
    await world.let_run()
    await world.clock.advance(1)
    await world.let_run()
    assert [len(process.signals) for process in world.spawner.processes[:3]] == [1, 1, 0]
    world.spawner.last.exits(4)
    await world.let_run()
    assert [(one.did, one.reason) for one in await began] == [
        ("reloaded", ""), ("failed", "exited with code 4"), ("kept", "")
    ]  # fmt: skip


async def test_reload_of_a_file_replaces_also_what_has_not_changed(shop, world, words):
    raws = [msgspec.Raw(msgspec.json.encode(shop.spec()))]
    request = StartRequest(specs=raws, base_env={}, wait="ready", reload=True)
    began = asyncio.ensure_future(world.apps.apply(request))
    await shop.proven(await shop.rising())
    shop.says(await shop.rising(1))
    await world.let_run()
    assert words((await began).outcomes) == ["web:0 reloaded", "web:1 reloaded"]


async def test_how_fast_each_worker_is(shop, world):
    page = shop.one[0].plumbing.page
    await world.clock.advance(10)  # what was before counts no more
    page.words[stats.REQUESTS] += 30
    await world.clock.advance(3)
    shop.app.watch.look()
    rates = [one.row().requests_per_second for one in shop.one]
    assert rates[0] > 4
    assert rates[1] == 0


async def test_an_earlier_one_that_finishes_its_work_stays_what_it_was(shop, resumed):
    unit = shop.one[0].copy.unit
    unit.generation = 2
    coming = shop.spec(instances=1, env={"A": "2"})
    after, _, _ = await resumed(shop, beside=[1, 3], coming=coming)
    unit.generation = 1
    copies = {copy.unit.generation: copy.edition.spec.env for copy in after.seen}
    assert copies == {2: {}, 3: {"A": "2"}, 1: {}}
