"""A pool on paper lives through bursts, deaths, failed starts and changes of its size.

The world tells the sizer no more than a pool would: it is asked when tasks wait and nobody is free, when a worker comes
or goes, and when it said so itself.
"""

from __future__ import annotations

import heapq
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.lifecycle.exit import ExitStatus
from rookery.pool.rules.sizing import SizeFacts, Sizer

IDLE_TIMEOUT = 30.0
KILLED = ExitStatus(signal=9, signal_name="SIGKILL")


class Worker:
    def __init__(self, now):
        self.ready_at = self.idle_since = now
        self.task_until = None
        self.tasks = 0
        self.is_leaving = False


class World:
    """chance: of "start" failing, of a "task" killing its worker, of an "early" death; start_time: the longest."""

    def __init__(self, seed, *, minimum, maximum, chance=None, start_time=1.0, task_time=2.0):
        self.random = random.Random(seed)
        self.minimum, self.maximum = minimum, maximum
        self.chance = chance or {}
        self.start_time, self.task_time = start_time, task_time
        self.now = 0.0
        self.sizer = Sizer(idle_timeout=IDLE_TIMEOUT)
        self.queued = self.starting = self.done = self.lost = self.given_up = 0
        self.starts = []
        self.workers = []
        self.over = 0  # how many there are too many since the maximum was lowered
        self._events = []
        self._order = itertools.count()
        self._again = None

    def at(self, seconds, call, *arguments):
        heapq.heappush(self._events, (self.now + seconds, next(self._order), call, arguments))

    def run(self, seconds, *, until=lambda: False):
        """Live on so long; True once until() holds."""
        end = self.now + seconds
        while not until():
            moment = self._events[0][0] if self._events else end
            if self._again is not None and self._again <= min(moment, end):
                self.now = max(self.now, self._again)
                self._again = None
                self.look()
                continue
            if moment >= end:
                self.now = end
                return until()
            self.now, _, call, arguments = heapq.heappop(self._events)
            call(*arguments)
        return True

    @property
    def lives(self):
        return len(self.workers) + self.starting

    def facts(self):
        here = [worker for worker in self.workers if not worker.is_leaving]
        return SizeFacts(
            minimum=self.minimum,
            maximum=self.maximum,
            queued=self.queued,
            idle=[(worker, worker.idle_since) for worker in here if worker.task_until is None],
            busy=[worker for worker in here if worker.task_until is not None],
            starting=self.starting,
            leaving=len(self.workers) - len(here),
        )

    def look(self):
        for _ in range(self.random.randrange(1, 4)):  # several callers at the same moment
            facts = self.facts()
            sizing = self.sizer.how_many(self.now, facts)
            self._again = sizing.again
            assert sizing.again is None or sizing.again > self.now, "a timer that is due at once spins"
            self._apply(facts, sizing)
            if sizing.gave_up:
                self.given_up += self.queued
                self.queued = 0
        assert self.sizer.is_braking == (self.sizer._in_a_row > 0 or self.sizer._history.failures > 0)
        self.over = min(self.over, max(0, self.lives - self.maximum))

    def _apply(self, facts, sizing):
        self.starting += sizing.start
        for _ in range(sizing.start):
            self.starts.append(self.now)
            self.at(self.random.uniform(0, self.start_time), self._started)
        assert not sizing.start or self.lives <= self.maximum, "overshot"
        assert self.lives <= self.maximum + self.over
        ready = len(facts.idle) + len(facts.busy)
        if sizing.stop:
            assert ready - len(sizing.stop) >= min(self.minimum, self.maximum - facts.starting, ready)
            assert ready + facts.starting > self.maximum or not facts.queued, "shrunk in a burst"
        if sizing.retire:
            assert len(sizing.stop) == len(facts.idle), "a busy one goes while an idle one stays"
            assert ready + facts.starting - len(sizing.stop) - len(sizing.retire) >= self.maximum
        for worker in (*sizing.stop, *sizing.retire):
            assert not worker.is_leaving, "told twice"
            worker.is_leaving = True
            if worker.task_until is None:
                self.at(self.random.uniform(0, 1), self._gone, worker)

    def _happens(self, what):
        return self.random.random() < self.chance.get(what, 0)

    def _started(self):
        self.starting -= 1
        if self._happens("start"):
            self.sizer.start_failed(self.now, "on paper")
        else:
            worker = Worker(self.now)
            self.workers.append(worker)
            if self._happens("early"):
                self._dies(worker)
            else:
                self._serve()
        self.look()

    def _serve(self):
        for worker in self.workers:
            if self.queued and worker.task_until is None and not worker.is_leaving:
                self.queued -= 1
                worker.tasks += 1
                worker.task_until = self.now + self.random.uniform(0, self.task_time)
                if self.sizer.is_braking:
                    self.sizer.worked(worker.ready_at)
                self.at(worker.task_until - self.now, self._ended, worker)

    def _ended(self, worker):
        if worker not in self.workers:
            return
        worker.task_until, worker.idle_since = None, self.now
        if self._happens("task"):
            self.lost += 1
            self._dies(worker)
            self.look()
            return
        self.done += 1
        if worker.is_leaving:
            self._gone(worker)
        else:
            self._serve()  # and nobody looks: this is the hot path

    def _dies(self, worker):
        self.workers.remove(worker)
        if not worker.is_leaving:
            self.sizer.died(self.now, lifetime=self.now - worker.ready_at, tasks=worker.tasks, status=KILLED)

    def _gone(self, worker):
        if worker in self.workers:
            self.workers.remove(worker)
            self.look()

    def submit(self, count):
        self.queued += count
        self._serve()
        if self.queued:
            self.look()

    def kill(self):
        """Somebody kills a worker."""
        if not self.workers:
            return
        worker = self.random.choice(self.workers)
        self.lost += worker.task_until is not None
        self._dies(worker)
        self.look()

    def resize(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum
        self.over = max(0, self.lives - maximum)
        self.look()


def random_life(world, seconds):
    submitted = 0
    end = world.now + seconds
    while world.now < end:
        world.run(world.random.expovariate(1.0))
        what = world.random.choices(["burst", "one", "kill", "resize", "calm"], [2, 6, 2, 1, 1])[0]
        if what in {"burst", "one"}:
            count = world.random.randrange(1, 40) if what == "burst" else 1
            submitted += count
            world.submit(count)
        elif what == "kill":
            world.kill()
        elif what == "resize":
            maximum = world.random.randrange(1, 9)
            world.resize(world.random.randrange(maximum + 1), maximum)
        else:
            world.run(world.random.uniform(0, 3 * IDLE_TIMEOUT))
    return submitted


@given(
    seed=st.integers(0, 2**32),
    minimum=st.integers(0, 4),
    more=st.integers(0, 6),
    start=st.sampled_from([0, 0.1, 0.5, 0.9]),
    task=st.sampled_from([0, 0.1, 0.5]),
    early=st.sampled_from([0, 0.1, 0.9]),
)
@settings(max_examples=150, deadline=None)
def test_a_life_of_trouble_ends_well(seed, minimum, more, start, task, early):
    chance = {"start": start, "task": task, "early": early}
    world = World(seed, minimum=minimum, maximum=max(1, minimum + more), chance=chance)
    world.look()
    submitted = random_life(world, 120)
    chance.clear()  # the trouble is over
    assert world.run(600, until=lambda: not world.queued and not world.starting), "a task waits for ever"
    world.run(4 * IDLE_TIMEOUT + 60)
    assert world.lives == len(world.workers) == world.minimum
    assert submitted == world.done + world.lost + world.given_up


@pytest.mark.parametrize("trouble", ["start", "early"])
@pytest.mark.parametrize("maximum", [1, 4, 64])
@pytest.mark.parametrize("minimum", [0, 1])
def test_when_nothing_starts_there_is_no_storm(trouble, maximum, minimum):
    world = World(7, minimum=minimum, maximum=maximum, chance={trouble: 1.0}, start_time=0.01)
    world.look()
    for _ in range(3000):  # five minutes, ten tasks a second
        world.submit(1)
        world.run(0.1)
    assert len(world.starts) <= maximum + 70
    assert world.given_up > 2900
    assert world.queued < 10 * 6  # none waits longer than the longest delay


@pytest.mark.parametrize("trouble", ["start", "early"])
def test_a_storm_does_not_come_while_one_worker_lives(trouble):
    world = World(7, minimum=1, maximum=8, task_time=0.2)
    world.look()
    world.submit(1)
    world.run(20)
    assert world.done == 1
    world.chance[trouble] = 1.0
    before = len(world.starts)
    for _ in range(300):
        world.submit(2)
        world.run(0.1)
    assert len(world.starts) - before <= 8 + 15  # in 30 seconds
    assert world.given_up == 0
    assert world.run(600, until=lambda: not world.queued)


def test_tasks_that_kill_their_workers_are_got_over_with_at_once():
    world = World(7, minimum=2, maximum=4, chance={"task": 1.0}, start_time=0.001, task_time=0.001)
    world.submit(1000)
    assert world.run(2.0, until=lambda: world.lost == 1000)
    assert world.given_up == 0


def test_it_grows_at_once_and_shrinks_to_its_minimum():
    world = World(7, minimum=2, maximum=8, start_time=0.01)
    world.submit(100)
    world.run(0.1)
    assert world.lives == 8
    assert world.run(60, until=lambda: world.done == 100)
    ended = world.now
    world.run(IDLE_TIMEOUT * 2 + 2)
    assert world.lives == 2
    assert len(world.starts) == 8
    assert world.now > ended
