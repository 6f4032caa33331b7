import asyncio

import pytest

from rookery.errors import ChannelTimeout, Disconnected, RemoteError, UsageError
from rookery.ipc import hub_words
from rookery.ipc.channel import Channel
from rookery.ipc.hub import Hub
from rookery.ipc.hub_choice import LEAST_BUSY, ROUND_ROBIN, choose
from rookery.ipc.hub_member import Health, Member
from rookery.ipc.hub_words import broadcast, task
from rookery.testing import FakeClock


class Group:
    """A hub, and the members' own ends by name."""

    def __init__(self, hub):
        self.hub = hub
        self.ends = {}

    def join(self, *names):
        for name in names:
            ours, theirs = Channel.pair()
            theirs.on("who", lambda _, name=name: name)
            self.ends[name] = theirs
            self.hub.join(name, ours)

    def __getitem__(self, name):
        return self.ends[name]

    async def close(self):
        channels = [member.channel for member in self.hub.members.values()]
        await self.hub.close()
        for channel in [*channels, *self.ends.values()]:
            await channel.close()


@pytest.fixture
async def made():
    groups = []

    def make(*names, **options):
        group = Group(Hub(**{"health": None, **options}))
        group.join(*names)
        groups.append(group)
        return group

    yield make
    for group in groups:
        await group.close()


@pytest.mark.parametrize(
    ("way", "running", "last", "expected"),
    [
        (LEAST_BUSY, [2, 1, 3], [1, 2, 3], 1),
        (LEAST_BUSY, [1, 1, 1], [3, 1, 2], 1),
        (LEAST_BUSY, [5, 5, 4], [0, 0, 9], 2),
        (ROUND_ROBIN, [0, 1, 0], [2, 1, 3], 1),
        (ROUND_ROBIN, [0, 5, 0], [2, 1, 3], 0),
        (LEAST_BUSY, [5, 5, 5], [0, 0, 0], None),
    ],
)
def test_who_gets_a_task(way, running, last, expected):
    members = [
        Member(str(n), None, running=one, last=two) for n, (one, two) in enumerate(zip(running, last, strict=True))
    ]
    found = choose(members, way, most=5)
    assert (found and members.index(found)) == expected


async def test_round_robin_takes_all_in_turn(made):
    group = made("a", "b", "c", assign="round-robin")
    assert [await group.hub.request({"type": "who"}) for _ in range(7)] == ["a", "b", "c", "a", "b", "c", "a"]


async def test_least_busy_goes_round_those_who_work(made, until):
    group = made("a", "b", "c")
    go = asyncio.Event()
    started = []

    async def slow(_):
        started.append("a")
        await go.wait()
        return "slow"

    group["a"].on("slow", slow)
    held = asyncio.create_task(group.hub.request({"type": "slow"}, to="a"))
    await until(lambda: started)
    assert {await group.hub.request({"type": "who"}) for _ in range(6)} == {"b", "c"}
    go.set()
    assert await held == "slow"
    assert "a" in {await group.hub.request({"type": "who"}) for _ in range(3)}
    assert sum(member.done for member in group.hub.members.values()) == 10


async def test_a_task_goes_from_one_worker_to_another_and_its_result_back(made):
    group = made("a", "b", "c")
    answers = {await group["a"].request(task({"type": "who"})) for _ in range(10)}
    assert answers == {"b", "c"}  # never the asker, never always the same other one
    assert await group["a"].request(task({"type": "who"}, to="a")) == "a"
    assert await group["a"].request(task({"type": "who"}, to="c")) == "c"
    assert [await group["b"].request(task({"type": "who"}, assign="round-robin")) for _ in range(2)] in (
        ["a", "c"],
        ["c", "a"],
    )


async def test_errors_and_progress_come_back_as_they_were(made):
    group = made("a", "b")
    seen = []

    async def works(_, call):
        for part in range(20):
            await call.progress(part)
        raise LookupError("no such picture")

    group["b"].on("work", works, with_call=True)
    with pytest.raises(RemoteError, match="LookupError: no such picture") as caught:
        await group["a"].request(task({"type": "work"}), on_progress=seen.append)
    assert "in works" in caught.value.traceback
    assert seen == list(range(20))


async def test_giving_up_reaches_the_one_who_works(made, until):
    group = made("a", "b")
    started, ended = asyncio.Event(), asyncio.Event()

    async def hangs(_):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    group["b"].on("hang", hangs)
    asking = asyncio.create_task(group["a"].request(task({"type": "hang"})))
    await started.wait()
    asking.cancel()
    await ended.wait()
    ended.clear()
    with pytest.raises(RemoteError, match="ChannelTimeout: b did not answer within"):
        await group["a"].request(task({"type": "hang"}, timeout=0.05))
    await ended.wait()
    await until(lambda: not group.hub.members["b"].running)


async def test_a_worker_that_dies_with_a_task_is_an_error_not_a_silence(made):
    changes = []
    group = made("a", "b", on_change=lambda what, member: changes.append((what, member.name)))
    started = asyncio.Event()

    async def hangs(_):
        started.set()
        await asyncio.Event().wait()

    group["b"].on("hang", hangs)
    asking = asyncio.create_task(group["a"].request(task({"type": "hang"})))
    await started.wait()
    group["b"].abort()
    with pytest.raises(RemoteError, match="Disconnected: b went away with a task underway"):
        await asking
    assert list(group.hub.members) == ["a"]
    assert changes == [("joined", "a"), ("joined", "b"), ("left", "b")]
    with pytest.raises(RemoteError, match="nobody else"):
        await group["a"].request(task({"type": "who"}))
    with pytest.raises(UsageError, match="no member 'b'"):
        await group.hub.request(1, to="b")
    group.join("b")
    assert await group["a"].request(task({"type": "who"})) == "b"


async def test_tasks_wait_when_all_are_busy_and_are_bounded(made):
    group = made("a", "b", most_tasks=1, most_waiting=3)
    go = {"a": asyncio.Event(), "b": asyncio.Event()}

    def held(name):
        async def hold(message):
            await go[name].wait()
            return [name, message["n"]]

        return hold

    for name in "ab":
        group[name].on("hold", held(name))
    running = [asyncio.create_task(group.hub.request({"type": "hold", "n": n}, to=name)) for n, name in enumerate("ab")]
    await asyncio.sleep(0)
    waits = [
        asyncio.create_task(group.hub.request({"type": "hold", "n": 2}, to="a")),
        asyncio.create_task(group.hub.request({"type": "hold", "n": 3})),
        asyncio.create_task(group.hub.request({"type": "hold", "n": 4}, timeout=0.05)),
    ]
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="3 tasks wait at the hub already"):
        await group.hub.request({"type": "hold", "n": 5})
    with pytest.raises(ChannelTimeout, match="was not free"):
        await waits[2]
    go["b"].set()  # who waits for a does not keep back who takes anybody
    assert await waits[1] == ["b", 3]
    assert not waits[0].done()
    go["a"].set()
    assert await waits[0] == ["a", 2]
    assert await asyncio.gather(*running) == [["a", 0], ["b", 1]]
    assert all(member.running == 0 for member in group.hub.members.values())


async def test_who_waits_for_a_member_that_leaves_is_told(made):
    group = made("a", "b", most_tasks=1)
    group["b"].on("hang", lambda _: asyncio.sleep(60))
    first = asyncio.create_task(group.hub.request({"type": "hang"}, to="b"))
    await asyncio.sleep(0)
    second = asyncio.create_task(group.hub.request({"type": "who"}, to="b"))
    await asyncio.sleep(0)
    group["b"].abort()
    with pytest.raises(Disconnected):
        await first
    with pytest.raises(UsageError, match="no member 'b'"):
        await second


async def test_a_broadcast_reaches_all_and_one_that_does_not_read_holds_up_nobody(made):
    group = made("a", "b", "c")
    assert await group["a"].request(broadcast("news")) == ["b", "c"]
    assert [await group[name].receive() for name in "bc"] == ["news"] * 2
    group["b"]._pause()
    while (await group.hub.broadcast("x" * 50_000, timeout=0.05))["b"] is None:
        for name in "ac":
            await group[name].receive()
    results = await group.hub.broadcast("last", timeout=0.05)
    assert isinstance(results["b"], ChannelTimeout)
    assert results["a"] is results["c"] is None
    group["b"].abort()  # or the end would wait for it


async def test_joining_and_leaving(made):
    group = made("a")
    with pytest.raises(UsageError, match="has a member 'a' already"):
        group.hub.join("a", group["a"])
    facts = await group["a"].request(hub_words.members())
    assert facts == [{"name": "a", "healthy": True, "running": 0, "done": 0}]
    channel = group.hub.members["a"].channel
    group.hub.leave("a")
    group.hub.leave("a")
    assert channel.connected
    with pytest.raises(RemoteError, match="nobody handles"):
        await group["a"].request(hub_words.members())
    await channel.close()
    with pytest.raises(Disconnected):
        group.hub.join("gone", channel)
    with pytest.raises(UsageError, match="cannot be assigned 'best'"):
        Hub(assign="best")


async def test_health_is_asked_for_and_used(made, until):
    clock = FakeClock()
    changes = []
    group = made(
        "a",
        "b",
        health=Health(period=10, timeout=0.05, failure_threshold=2),
        clock=clock,
        on_change=lambda what, member: changes.append((what, member.name)),
    )
    b = group.hub.members["b"]
    await clock.advance(10)
    await until(lambda: b.latency is not None)
    group["b"]._pause()
    for missed in (1, 2):
        await clock.advance(10)
        await until(lambda missed=missed: b.missed == missed)
    assert not b.healthy
    assert {await group.hub.request({"type": "who"}) for _ in range(4)} == {"a"}
    group["b"]._resume()
    await clock.advance(10)
    await until(lambda: b.healthy)
    assert changes[2:] == [("unhealthy", "b"), ("healthy", "b")]
    assert {await group.hub.request({"type": "who"}) for _ in range(4)} == {"a", "b"}
