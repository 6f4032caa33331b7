"""Many units on paper: order, endings, and who is asked what."""

import asyncio
import signal

import pytest

from rookery.errors import CommandNotFound, LinkError, StopFailed, UsageError
from rookery.lifecycle.state import State
from rookery.lifecycle.stop import StopPlan
from rookery.process.spec import SpawnSpec
from rookery.supervise.supervisor import Supervisor
from rookery.testing import FakeClock, FakeProcess, FakeSpawner
from rookery.testing.clock import let_run

NAMES = ["db", "web", "worker"]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def spawner():
    return FakeSpawner()


@pytest.fixture
async def supervisor(spawner, clock):
    supervisor = Supervisor(spawner=spawner, clock=clock)
    supervisor.told = []
    supervisor.listen(lambda event: supervisor.told.append(f"{event.unit} {event.after}"))
    for name in NAMES:
        supervisor.add(name, SpawnSpec((name,)))
    yield supervisor
    await supervisor.close()
    assert clock.sleepers == 0


async def test_started_in_order_and_stopped_in_reverse(supervisor):
    await supervisor.start()
    await supervisor.stop()
    assert [one for one in supervisor.told if one.endswith(("running", "stopped"))] == [
        "db running", "web running", "worker running", "worker stopped", "web stopped", "db stopped",
    ]  # fmt: skip
    assert supervisor.is_quiet


async def test_only_those_named_in_the_order_of_all(supervisor, spawner):
    await supervisor.start("worker", "db")
    assert [key for _, key, _ in spawner.started] == ["db", "worker"]
    await supervisor.stop("db")
    assert [str(unit.state) for unit in supervisor] == ["stopped", "stopped", "running"]


@pytest.mark.parametrize("verb", ["start", "stop"])
async def test_a_name_that_is_none_is_refused_before_anything_is_done(supervisor, spawner, verb):
    with pytest.raises(UsageError, match="no unit 'wbe'"):
        await getattr(supervisor, verb)("db", "wbe")
    assert spawner.started == []


@pytest.mark.parametrize("name", ["db", "a:b", ""])
async def test_a_name_that_cannot_be(supervisor, name):
    with pytest.raises(UsageError):
        supervisor.add(name, ["prog"])
    assert len(supervisor) == 3


async def test_one_that_cannot_start_does_not_keep_the_others(supervisor, spawner):
    spawner.failures = [CommandNotFound(["db"])]
    await supervisor.start()
    assert [str(unit.state) for unit in supervisor] == ["fatal", "running", "running"]


@pytest.mark.parametrize("verb", ["stop", "__aexit__"])
async def test_one_that_cannot_be_stopped_does_not_keep_the_others(supervisor, spawner, clock, monkeypatch, verb):
    await supervisor.start()
    monkeypatch.setattr(spawner.processes[2], "signal", lambda number: True)
    ending = asyncio.ensure_future(supervisor.stop() if verb == "stop" else supervisor.__aexit__(None, None, None))
    await clock.advance(100)
    with pytest.raises(StopFailed):
        await ending
    assert spawner.alive == [spawner.processes[2]]


async def test_an_error_of_another_kind_does_not_keep_the_others_either(supervisor, spawner, monkeypatch):
    await supervisor.start()
    tree = spawner.tree

    def broken(handle, cookie):
        if handle is spawner.processes[2]:
            raise LinkError("gone")
        return tree(handle, cookie)

    monkeypatch.setattr(spawner, "tree", broken)
    with pytest.raises(LinkError):
        await supervisor.stop()
    assert spawner.alive == [spawner.processes[2]]


async def test_a_listener_that_fails_hurts_nobody(supervisor, spawner, caplog):
    heard = []
    supervisor.listen(lambda event: 1 / 0)
    supervisor.listen(heard.append)
    await supervisor.start("db")
    spawner.last.exits(1)
    await let_run()
    assert [str(event.after) for event in heard] == ["starting", "running", "backoff"]
    assert "ZeroDivisionError" in caplog.text


async def test_what_is_removed_is_stopped_and_its_name_is_free(supervisor, spawner):
    await supervisor.start()
    await supervisor.remove("web")
    assert "web" not in supervisor
    assert len(spawner.alive) == 2
    supervisor.add("web", ["prog"])
    with pytest.raises(KeyError):
        await supervisor.remove("nobody")


async def test_close_lets_everything_run(supervisor, spawner):
    await supervisor.start()
    await supervisor.close()
    assert len(spawner.alive) == 3
    assert len(supervisor) == 0


@pytest.mark.parametrize("crashing", [False, True])
async def test_the_end_of_the_block_leaves_nothing(spawner, clock, crashing):
    async def block():
        async with Supervisor(spawner=spawner, clock=clock) as supervisor:
            for name in NAMES:
                supervisor.add(name, SpawnSpec((name,)))
            await supervisor.start()
            if crashing:
                spawner.last.exits(1)
                await let_run()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await block()
    assert len(spawner.processes) == 3
    assert (spawner.alive, clock.sleepers) == ([], 0)


@pytest.mark.parametrize("turns", [*range(12), 30])
@pytest.mark.parametrize("cancels", [1, 2, 3])
async def test_cancelled_however_often_and_whenever_nothing_is_left(spawner, clock, turns, cancels):
    graces = []

    class Stubborn(FakeProcess):
        def signal(self, number):
            if number == signal.SIGTERM:
                self.asked_at = clock.monotonic()
            elif self.is_alive:
                graces.append(clock.monotonic() - self.asked_at)
            return super().signal(number)

    spawner._make = lambda: Stubborn(ignores=[signal.SIGTERM])

    async def block():
        async with Supervisor(spawner=spawner, clock=clock) as supervisor:
            for name in NAMES:
                supervisor.add(name, SpawnSpec((name,)), stop=StopPlan(graceful_timeout=1.0))
            await supervisor.start()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(block())
    for _ in range(cancels):
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
    await clock.advance(100)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (spawner.alive, clock.sleepers) == ([], 0)
    assert graces == [1.0] * len(spawner.processes)  # a cancel does not shorten them


async def test_a_loop_that_is_torn_down_on_the_way_out_leaves_nothing(spawner, clock):
    spawner._make = lambda: FakeProcess(ignores=[signal.SIGTERM])

    async def block():
        async with Supervisor(spawner=spawner, clock=clock) as supervisor:
            for name in NAMES:
                supervisor.add(name, SpawnSpec((name,)))
            await supervisor.start()

    others = asyncio.all_tasks()
    task = asyncio.ensure_future(block())
    await let_run()
    assert len(spawner.alive) == 3
    for one in asyncio.all_tasks() - others:  # as asyncio.run does after a second Ctrl-C
        one.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (spawner.alive, clock.sleepers) == ([], 0)


async def test_who_starts_things_again_on_the_way_out_starts_nothing(spawner, clock):
    async with Supervisor(spawner=spawner, clock=clock) as supervisor:
        for name in NAMES:
            supervisor.add(name, SpawnSpec((name,)))
        supervisor.listen(lambda event: event.after is State.STOPPED and again.append(start(event.unit)))
        again = []

        def start(name):
            return asyncio.ensure_future(supervisor[name].start())

        await supervisor.start()
    assert spawner.alive == []
    got = await asyncio.gather(*again, return_exceptions=True)
    assert [type(one) for one in got] == [UsageError] * 3
    with pytest.raises(UsageError, match="has ended"):
        supervisor.add("late", ["prog"])
