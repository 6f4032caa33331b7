"""What is written down of what happens, and who gets to see it."""

from __future__ import annotations

import asyncio

import pytest

from rookery import errors
from rookery.apps.events import MOST
from rookery.control.messages import EventQuery
from rookery.testing.clock import let_run


def told(events):
    return [(event.type, event.after or event.reason) for event in events]


def kept(world, *selectors, types=(), after=None):
    return world.apps.events.kept(EventQuery(selectors=selectors, types=types, after=after))


async def test_the_life_of_an_instance(world):
    world.apps.events.epoch = 7
    await world.apply(world.spec())
    world.process("web").exits(3)
    await world.clock.advance(0.2)
    await world.act("stop", "web")
    events = kept(world)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert {event.epoch for event in events} == {7}
    assert {(event.unit, event.name, event.index, event.id) for event in events} == {("0", "web", 0, 0)}
    assert [(event.type, event.after) for event in events] == [
        ("state", "starting"),
        ("start", ""),
        ("state", "running"),
        ("exit", ""),
        ("state", "backoff"),
        ("state", "starting"),
        ("start", ""),
        ("state", "running"),
        ("state", "stopping"),
        ("exit", ""),
        ("state", "stopped"),
    ]
    first, second = (event for event in events if event.type == "exit")
    assert (first.code, first.signal, first.reason) == (3, None, "exited with code 3")
    assert (second.code, second.signal) == (None, "SIGTERM")
    assert all(event.reason for event in events)
    assert events[1].pid is not None


async def test_a_start_that_fails(make_world):
    world = make_world()
    world.spawner.failures.append(errors.CommandNotFound(["/bin/x"]))
    await world.apply(world.spec())
    assert [event.type for event in kept(world)] == ["state", "start_failed", "state"]
    await world.apps.close()


async def test_ready_delete_scale_and_reset(world):
    from rookery.config.spec import ReadinessSpec
    from rookery.control.messages import ScaleRequest

    await world.apply(world.spec(readiness=ReadinessSpec(notify=True)))
    (one,) = world.apps.instances()
    one.plumbing.wants.on_words({"READY": "1"})
    one.plumbing.wants.on_words({"READY": "1", "STATUS": "fine"})
    assert len(kept(world, types=("ready",))) == 1  # said twice, became so once
    await world.apps.scale(ScaleRequest(name="web", instances=2, wait="started"))
    world.apps.reset(one)
    await world.act("delete", "web")
    (scaled,) = kept(world, types=("scale",))
    assert (scaled.name, scaled.index, scaled.before, scaled.after) == ("web", None, "1", "2")
    assert [event.index for event in kept(world, types=("delete",))] == [0, 1]
    assert [event.index for event in kept(world, types=("reset",))] == [0]


async def test_selectors_mean_also_what_is_gone(world):
    await world.apply(world.spec("web", namespace="shop", instances=2), world.spec("job"))
    await world.act("delete", "web:1")
    assert {event.name for event in kept(world, "shop")} == {"web"}
    assert {event.index for event in kept(world, "web:1")} == {1}
    assert {event.id for event in kept(world, "0")} == {0}
    assert {event.name for event in kept(world, "/^j/", "web:0")} == {"job", "web"}
    assert kept(world, "all") == kept(world)
    assert kept(world, "nobody") == []
    world.apps.check_known(EventQuery(selectors=("web:1",)))
    with pytest.raises(errors.NothingMatched):
        world.apps.check_known(EventQuery(selectors=("web:0", "nobody")))
    with pytest.raises(errors.UsageError):
        world.apps.check_known(EventQuery(selectors=("/[/",)))


async def test_a_namespace_counts_only_where_no_app_has_its_name(world):
    await world.apply(world.spec("web", namespace="shop"), world.spec("shop"))
    assert {event.name for event in kept(world, "shop")} == {"shop"}


async def test_the_last_thousand_are_kept(world):
    for number in range(MOST + 10):
        world.apps.events.add("manager", reason=str(number))
    events = kept(world)
    assert (len(events), events[0].seq, events[-1].seq) == (MOST, 11, MOST + 10)


@pytest.mark.parametrize(
    ("after", "seqs"), [(None, [1, 2, 3]), ((2, 1), [2, 3]), ((2, 3), []), ((1, 900), [1, 2, 3]), ((3, 0), [])]
)
async def test_going_on_after_a_place(world, after, seqs):
    world.apps.events.epoch = 2
    for _ in range(3):
        world.apps.events.add("manager")
    assert [event.seq for event in kept(world, after=after)] == seqs


async def test_a_reader_gets_what_was_and_what_comes(world):
    events = world.apps.events
    events.add("manager", reason="one")
    feed = events.feed(EventQuery())
    assert told(await feed.more()) == [("manager", "one")]
    waiting = asyncio.ensure_future(feed.more())
    await let_run()
    assert not waiting.done()
    events.add("manager", reason="two")
    assert told(await waiting) == [("manager", "two")]


async def test_a_reader_that_is_cancelled_loses_nothing(world):
    feed = world.apps.events.feed(EventQuery())
    waiting = asyncio.ensure_future(feed.more())
    await let_run()
    waiting.cancel()
    world.apps.events.add("manager", reason="one")
    assert told(await feed.more()) == [("manager", "one")]


async def test_a_reader_that_is_late_finds_a_gap(world):
    feed = world.apps.events.feed(EventQuery(selectors=("web",), after=(0, 5)))
    for _ in range(MOST + 20):
        world.apps.events.add("manager", name="web")
    events = await feed.more()
    assert (events[0].type, events[0].reason) == ("gap", "15 events are no longer kept")
    assert (events[1].seq, len(events)) == (21, MOST + 1)


async def test_what_the_collector_says(world):
    await world.apply(world.spec(instances=2))
    world.apps.log_event({"event": "log_dropped", "path": "/logs/web-1.err.log", "lines": 12, "why": "disk full"})
    world.apps.log_event({"event": "log_full", "path": "/elsewhere", "why": "disk full"})
    dropped, full = kept(world)[-2:]
    assert (dropped.type, dropped.name, dropped.index, dropped.lines, dropped.reason) == (
        "log_dropped", "web", 1, 12, "disk full",
    )  # fmt: skip
    assert (full.type, full.name, full.path) == ("log_full", "", "/elsewhere")
