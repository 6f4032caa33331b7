"""``rook kill``: everything down, and what was wanted is remembered."""

from __future__ import annotations

import signal

from rookery.testing import FakeProcess


async def test_the_last_added_is_stopped_first_and_what_was_wanted_is_kept(make_world):
    order = []

    class Told(FakeProcess):
        def signal(self, number):
            order.append(self.pid)
            return super().signal(number)

    world = make_world(Told)
    await world.apply(world.spec("a"))
    await world.apply(world.spec("b"))
    await world.apply(world.spec("c"))
    pids = [process.pid for process in world.spawner.processes]
    await world.act("stop", "b")
    order.clear()
    result = await world.apps.stop_all()
    assert order == [pids[2], pids[0]]
    assert world.alive == []
    assert not result.expired
    saved = [app.saved() for app in world.apps.apps.values()]
    assert [(app.name, app.held, app.desired) for app in saved] == [
        ("a", True, "running"),
        ("b", False, "stopped"),
        ("c", True, "running"),
    ]
    assert world.apps.is_leaving
    await world.apps.close()


async def test_it_is_on_disk_before_the_first_is_stopped(world):
    await world.apply(world.spec())
    states = []

    async def save():
        states.append((world.states["web:0"], world.apps.apps["web"].held, world.apps.is_leaving))

    world.save = save
    await world.apps.stop_all()
    assert states == [("running", True, True), ("stopped", True, True)]


async def test_it_waits_behind_a_start_that_has_been_accepted(world):
    """An app that has no instances yet when everything is to stop."""
    applying = world.began(world.applying(world.spec()))
    stopping = world.began(world.apps.stop_all())
    await applying
    await stopping
    assert world.alive == []
    assert world.apps.apps["web"].held
    assert [one.desired for one in world.apps.instances()] == ["running"]


async def test_it_waits_behind_a_restart(make_world):
    world = make_world(lambda: FakeProcess(ignores=[signal.SIGTERM]))
    await world.apply(world.spec())
    restarting = world.began(world.acting("restart", "web"))
    await world.let_run()
    stopping = world.began(world.apps.stop_all())
    await world.clock.advance(60)
    assert restarting.done()
    assert not (await stopping).expired
    assert world.alive == []
    await world.apps.close()


async def test_backoff_ends(world):
    await world.apply(world.spec())
    world.process("web").exits(1)
    await world.let_run()
    await world.apps.stop_all()
    await world.clock.advance(100)
    assert world.alive == []
    assert world.states == {"web:0": "stopped"}


async def test_without_apps(world):
    assert (await world.apps.stop_all()).outcomes == []
