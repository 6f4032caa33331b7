"""The stop plan against trees that go on forking while they are being killed."""

import asyncio
import signal

import pytest

from rookery.lifecycle.stop import StopPlan
from rookery.process.stop import is_gone, kill_now, stop, sweep
from rookery.testing import FakeClock, FakeProcess

TERM, KILL = signal.SIGTERM, signal.SIGKILL


class ForkingTree:
    """A leader and strays; each killed stray has forked so many more before it died."""

    def __init__(self, leader, *, strays=1, forks=0, undying=()):
        self.leader = leader
        self.strays = set(range(1, strays + 1))
        self.forks = forks
        self.undying = set(undying)
        self.log = []
        self.looks = 0

    def members(self):
        self.looks += 1
        self.log.append(("look", self.leader.is_alive))
        leader = [(self.leader.pid, self.leader.start_time)] if self.leader.is_alive else []
        return leader + [(pid, 0) for pid in sorted(self.strays)]

    def signal(self, member, number):
        self.log.append((member[0], number))
        if member[0] == self.leader.pid:
            return self.leader.signal(number)
        if number == KILL and member[0] not in self.undying:
            self.strays.discard(member[0])
            if self.forks:
                self.forks -= 1
                self.strays.add(max([*self.strays, member[0]]) + 100)
        return True


@pytest.fixture
def clock():
    return FakeClock()


async def run(clock, work, seconds=100.0):
    task = asyncio.ensure_future(work)
    await clock.advance(seconds)
    assert clock.sleepers == 0
    return await task


async def test_the_tree_is_looked_at_before_the_leader_hears_of_it(clock):
    # When he is gone his children are no longer his: only who was seen before is known.
    leader = FakeProcess()
    tree = ForkingTree(leader, strays=0)
    await run(clock, stop(leader, tree, StopPlan(scope="leader"), clock))
    assert leader.signals == [TERM]
    assert tree.log[0] == ("look", True)


async def test_who_forks_while_he_is_killed_is_looked_for_again(clock):
    leader = FakeProcess(ignores=[TERM])
    tree = ForkingTree(leader, strays=3, forks=30)
    assert await run(clock, stop(leader, tree, StopPlan(graceful_timeout=1.0), clock)) is True
    assert (tree.strays, tree.forks) == (set(), 0)


async def test_a_sweep_returns_whom_it_killed_and_looks_until_nobody_is_there(clock):
    leader = FakeProcess()
    leader.exits(0)
    tree = ForkingTree(leader, strays=2, forks=5)
    killed = await run(clock, sweep(tree, clock))
    assert len(killed) == len(set(killed)) == 7
    assert tree.strays == set()


async def test_a_sweep_of_nobody_takes_no_time(clock):
    leader = FakeProcess()
    leader.exits(0)
    assert await sweep(ForkingTree(leader, strays=0), clock) == []


async def test_a_sweep_gives_up_on_who_cannot_be_killed(clock):
    leader = FakeProcess()
    leader.exits(0)
    tree = ForkingTree(leader, strays=2, undying=[1])
    assert await run(clock, sweep(tree, clock)) == [1, 2]
    assert tree.strays == {1}
    assert tree.looks < 50


async def test_killing_now_goes_on_while_there_are_new_ones(clock):
    leader = FakeProcess(ignores=[TERM])
    tree = ForkingTree(leader, strays=2, forks=10)
    kill_now(tree)
    assert is_gone(tree)
    assert not leader.is_alive


async def test_killing_now_ends_with_who_cannot_be_killed():
    leader = FakeProcess()
    tree = ForkingTree(leader, strays=2, undying=[1])
    kill_now(tree)
    assert tree.members() == [(1, 0)]


async def test_a_cancelled_stop_leaves_the_rest_to_its_caller(clock):
    leader = FakeProcess(ignores=[TERM])
    tree = ForkingTree(leader)
    task = asyncio.ensure_future(stop(leader, tree, StopPlan(), clock))
    await clock.advance(1.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await clock.advance(0)
    assert (leader.signals, clock.sleepers) == ([TERM], 0)
