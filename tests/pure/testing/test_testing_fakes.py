import asyncio
import signal

import pytest

from rookery.errors import CommandNotFound
from rookery.lifecycle.exit import ExitStatus
from rookery.process.spec import SpawnSpec
from rookery.testing import FakeProcess, FakeSpawner, wait_until

SPEC = SpawnSpec(("prog",))


async def test_a_process_exits_on_command_and_many_wait_for_it():
    process = FakeProcess()
    waits = [asyncio.ensure_future(process.wait()) for _ in range(3)]
    waits.pop().cancel()
    process.exits(3)
    assert await asyncio.gather(*waits) == [ExitStatus(code=3)] * 2
    assert process.signal(15) is False
    assert process.signals == []


async def test_a_process_ends_by_what_it_does_not_ignore():
    process = FakeProcess(ignores=[signal.SIGTERM, signal.SIGKILL])
    assert process.signal(signal.SIGTERM)
    assert process.is_alive
    assert process.signal(signal.SIGKILL)
    assert (await process.wait()).signal_name == "SIGKILL"
    assert process.signals == [signal.SIGTERM, signal.SIGKILL]


async def test_children_outlive_their_leader_until_they_are_killed():
    process = FakeProcess(children=2)
    tree = FakeSpawner().tree(process, "")
    assert tree.members()[0] == (process.pid, process.start_time)
    process.exits()
    first, second = tree.members()
    tree.signal(first, signal.SIGTERM)
    tree.signal(second, signal.SIGKILL)
    assert tree.members() == [first]


async def test_a_spawner_starts_once_for_each_key_and_generation():
    spawner = FakeSpawner(failures=[CommandNotFound(["prog"])])
    with pytest.raises(CommandNotFound):
        await spawner.spawn(SPEC, "web", 1)
    first = await spawner.spawn(SPEC, "web", 1)
    assert await spawner.spawn(SPEC, "web", 1) is first
    second = await spawner.spawn(SPEC, "web", 2)
    assert spawner.started == [(SPEC, "web", 1), (SPEC, "web", 2)]
    assert spawner.last is second
    first.exits()
    assert spawner.alive == [second]


def test_wait_until_gives_what_came_true():
    answers = iter([0, "", "yes"])
    assert wait_until(lambda: next(answers)) == "yes"


def test_wait_until_says_what_it_saw_last():
    with pytest.raises(AssertionError, match=r"the port did not come about within 0 s; seen last: \[\]"):
        wait_until(list, deadline=0.0, what="the port")
