"""A reload in which more goes wrong than a worker: nothing stays half done, and what serves keeps its sockets."""

from __future__ import annotations

import pytest

from rookery import errors
from rookery.config.spec import ReadinessSpec
from rookery.control.messages import ActRequest, EventQuery

OTHER = ("127.0.0.1:0", "127.0.0.2:0")


@pytest.fixture
async def half_back(shop, world):
    """Two to another address: the first is there, the second fell, and so does what the first was before."""
    began = world.began(world.apply(shop.spec(bind=OTHER)))
    await shop.proven(await shop.rising())
    shop.process(await shop.rising(1)).exits(1)
    await world.let_run()
    shop.process(await shop.rising(0)).exits(9)
    await world.let_run()
    return await began


async def test_what_cannot_go_back_has_failed_and_serves_on(half_back, shop):
    assert [(one.did, one.ok, one.reason) for one in half_back] == [
        ("failed", False, "it did not go back: exited with code 9"),
        ("failed", False, "exited with code 1"),
    ]
    stranded = shop.one[0].copy
    assert (shop.app.coming, stranded.edition is shop.app.edition) == (None, False)
    assert stranded.edition.listeners is not None
    assert [one.hint for one in half_back] == ["rook reload web tries again", "what ran before goes on"]
    assert [one.pending for one in shop.one] == ["", ""]


async def test_it_is_what_the_others_are_when_it_ends(half_back, shop, world):
    stranded = shop.one[0].copy
    edition = stranded.edition
    await world.act("restart", "web:0")
    assert (stranded.edition, edition.listeners) == (shop.app.edition, None)
    assert len(world.keep.fds) == 1


async def test_a_stop_closes_also_the_sockets_of_what_could_not_go_back(half_back, shop, world):
    stranded = shop.one[0].copy
    process = shop.process(stranded)
    process.signal = lambda number: True  # it takes its time
    began = world.began(world.act("stop", "web"))
    await world.let_run()
    assert (process.is_alive, stranded.edition.listeners, world.keep.fds) == (True, None, {})
    process.exits(0)
    await world.let_run()
    await began
    assert world.alive == []


async def test_another_reload_takes_it_along(half_back, shop, world):
    edition = shop.one[0].copy.edition
    began = world.began(world.act("reload", "web"))
    await shop.proven(await shop.rising())
    shop.says(await shop.rising(1))
    await world.let_run()
    assert [one.did for one in await began] == ["reloaded", "reloaded"]
    assert edition.listeners is None
    assert {one.copy.edition for one in shop.one} == {shop.app.edition}


async def test_a_keeper_that_is_lost_in_the_middle_leaves_no_reload_behind(shop, world):
    began = world.began(world.apply(shop.spec(env={"A": "2"})))
    first = await shop.rising()

    async def lost():
        raise errors.LinkError("the keeper is gone")

    shop.one[0].copy.unit.end = lost
    await shop.proven(first)
    with pytest.raises(errors.LinkError):
        await began
    assert (shop.app.coming, [one.pending for one in shop.one]) == (None, ["", ""])
    assert [one.type for one in world.apps.events.kept(EventQuery()) if one.type.startswith("reload")][
        -1
    ] == "reload_failed"


async def test_a_state_that_cannot_be_written_ends_a_reload_before_it_begins(shop, world):
    async def full():
        raise OSError("no space left")

    save, world.save = world.save, full
    with pytest.raises(OSError, match="no space"):
        await world.act("reload", "web")
    world.save = save
    assert ([one.pending for one in shop.one], len(world.spawner.started)) == (["", ""], 2)


async def test_one_at_its_limit_is_pending_no_more_where_the_keeper_is_lost(shop, world):
    one = shop.one[0]

    async def lost():
        raise errors.LinkError("the keeper is gone")

    began = world.began(world.apps._reloader.replace(shop.app, one))
    new = await shop.rising()
    shop.says(new)
    await world.let_run()
    new.unit.end = lost
    shop.process(new).exits(1)
    with pytest.raises(errors.LinkError):
        await began
    assert one.pending == ""


async def test_a_stop_is_heard_also_while_the_state_is_written(shop, world, words):
    stops = []
    save = world.save

    async def slow():
        world.save = save
        stops.append(world.began(world.act("stop", "web")))
        await world.let_run()

    world.save = slow
    assert [one.did for one in await world.act("reload", "web")] == ["failed", "kept"]
    assert words(await stops[0]) == ["web:0 stopped", "web:1 stopped"]
    assert len(world.spawner.started) == 2


async def test_a_stop_waits_for_no_way_back(shop, world, words):
    began = world.began(world.apply(shop.spec(env={"A": "2"})))
    await shop.proven(await shop.rising())
    await shop.rising(1)
    assert words(await world.act("stop", "web")) == ["web:0 stopped", "web:1 stopped"]
    assert len(world.spawner.started) == 4
    await began
    assert (world.keep.fds, shop.app.coming) == ({}, None)


async def test_who_is_not_stopped_goes_back(shop, world, words):
    began = world.began(world.apply(shop.spec(env={"A": "2"})))
    await shop.proven(await shop.rising())
    await shop.rising(1)
    stop = world.began(world.act("stop", "web:1"))
    await shop.proven(await shop.rising(0))
    assert words(await stop) == ["web:1 stopped"]
    await began
    assert shop.one[0].copy.edition is shop.app.edition


async def test_a_reload_after_the_stop_is_not_given_up(shop, world, words):
    await world.act("stop", "web:1")
    began = world.began(world.act("reload", "web:0"))
    await shop.proven(await shop.rising())
    assert words(await began) == ["web:0 reloaded"]


def updating(world, *selectors):
    request = ActRequest(selectors=list(selectors), wait="started", timeout=30.0, base_env={"NEW": "1"})
    return world.apps.act("reload", request)


async def test_another_environment_is_for_all_that_share_sockets(shop, world):
    with pytest.raises(errors.UsageError) as caught:
        await updating(world, "web:0")
    assert "rook reload web --update-env" in caught.value.hint
    assert len(world.spawner.started) == 2
    await world.act("stop", "web:1")
    began = world.began(updating(world, "web:0"))
    await shop.proven(await shop.rising())
    await began
    assert shop.app.base_env == {"NEW": "1"}


async def test_another_environment_is_kept_where_nothing_runs(shop, world):
    await world.act("stop", "web")
    await updating(world, "web")
    assert world.spawner.started[-1][0].env["NEW"] == "1"
    assert {one.copy.edition.base_env["NEW"] for one in shop.one} == {"1"}


async def test_the_old_one_that_will_not_go_first_is_not_given_up_for_good(world, make_shop):
    shop = make_shop(world)
    own = {"balance": "port", "bind": ("127.0.0.1:18431",), "kind": "command", "app": ""}
    await shop.up(**own, readiness=ReadinessSpec(notify=True))
    assert shop.app.edition.settings.own_ports
    old = shop.one[0].copy

    async def stuck():
        raise errors.StopFailed([7], 5.0)

    old.unit.stop = stuck
    assert [one.did for one in await world.act("reload", "web:0")] == ["failed"]
    del old.unit.stop
    assert (old.retired, shop.one[0].rising) == (False, None)


async def test_an_acceptor_that_will_not_go_does_not_keep_a_deleted_app(shop, world):
    app = shop.app
    let_go = []

    async def stuck(edition):
        if not app.instances:  # the last step
            raise errors.StopFailed([7], 5.0)

    app.door.shut = stuck
    close = app.door.let_go
    app.door.let_go = lambda: (let_go.append(True), close())
    with pytest.raises(errors.StopFailed):
        await world.act("delete", "web")
    assert (world.apps.apps, let_go) == ({}, [True])
    assert len(world.apps.events.kept(EventQuery(types=("delete",)))) == 2


async def test_an_edition_whose_acceptor_will_not_go_is_let_go(shop):
    class Stuck:
        closed = False

        async def stop(self):
            raise errors.StopFailed([7], 5.0)

        async def let_go(self):
            self.closed = True

    edition = shop.app.next_edition(shop.spec(), {})
    edition.passing = passing = Stuck()
    with pytest.raises(errors.StopFailed):
        await shop.app.retire(edition)
    assert (passing.closed, edition.passing) == (True, None)
