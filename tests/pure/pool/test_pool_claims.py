"""Packets of several tasks: whatever happens between parent and worker, each task is begun by one of them."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.pool.processes.child import _may_begin
from rookery.pool.processes.claims import Claims


class World:
    """A parent and a worker; packets travel as they do in the kernel: in order, and can be taken back unread."""

    def __init__(self):
        self.claims = Claims()
        self.claims.theirs.setblocking(False)  # a worker that would wait for ever is an error here
        self.desk = SimpleNamespace(claims=self.claims.theirs, leaves=False)
        self.packets = deque()
        self.at = None
        self.open = set()
        self.done = []
        self.returned = []
        self.made = 0

    def close(self):
        self.claims.close()

    def send(self, count):
        tasks = list(range(self.made, self.made + count))
        self.made += count
        number = self.claims.number(tasks, self.open)
        assert number
        self.open.update(tasks)
        self.packets.append((number, tasks))
        self.claims.grant(number)

    def step(self):
        """The worker goes on with one task; whether there was anything to do."""
        if self.at is None:
            if not self.packets:
                return False
            number, tasks = self.packets.popleft()
            self.at = number, deque(tasks)
        number, tasks = self.at
        if not tasks:
            self.at = None
        elif _may_begin(self.desk, number):
            self.done.append(tasks.popleft())
            self.open.discard(self.done[-1])
        else:
            self.at = None
        return True

    def recall(self):
        whole = []
        while self.packets:
            whole += self.claims.forget(self.packets.popleft()[0])
        back = [*self.claims.take_back(), *whole]
        assert back == sorted(back)  # in order
        self.open.difference_update(back)
        self.returned += back


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


def test_what_is_taken_back_the_worker_does_not_begin(world):
    world.send(5)
    for _ in range(2):
        world.step()
    world.recall()
    assert (world.done, world.returned) == ([0, 1], [2, 3, 4])
    world.send(2)
    while world.step():
        pass
    assert world.done == [0, 1, 5, 6]


def test_taken_back_twice_before_the_worker_has_looked(world):
    world.send(3)
    world.step()
    world.recall()
    world.recall()
    while world.step():
        pass
    assert (world.done, world.returned) == ([0], [1, 2])


def test_a_packet_that_comes_back_whole_leaves_nothing_that_another_could_take_for_its_own(world):
    world.send(2)
    world.recall()
    world.send(3)
    world.recall()
    world.send(2)
    while world.step():
        pass
    assert (world.done, world.returned) == ([5, 6], [0, 1, 2, 3, 4])


def test_a_worker_whose_parent_has_gone_leaves(world):
    world.send(1)
    world.step()
    world.claims._ours.close()
    assert not _may_begin(world.desk, 1)
    assert world.desk.leaves


def test_there_are_only_so_many_numbers(world):
    for _ in range(127):
        world.send(1)
    assert world.claims.number([999], world.open) == 0
    while world.step():
        pass
    world.send(1)
    while world.step():
        pass
    assert len(world.done) == 128


@given(st.lists(st.one_of(st.integers(1, 4).map(lambda n: ("send", n)), st.just(("step", 0)), st.just(("recall", 0)))))
def test_each_task_is_begun_once_or_comes_back_once(actions):
    world = World()
    try:
        for what, count in actions:
            if what == "send":
                world.send(count)
            else:
                getattr(world, what)()
        while world.step():
            pass
        assert sorted(world.done + world.returned) == list(range(world.made))
    finally:
        world.close()
