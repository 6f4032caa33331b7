"""Who is in charge during and after an upgrade."""

from __future__ import annotations

import pytest

from rookery.daemon.keeper import programs
from rookery.daemon.keeper.programs import CANDIDATE_WITHIN, FAST, FAST_FAILURES, Command, Managers
from rookery.errors import LinkError

OLD, NEW = Command("/usr/bin/python3", "/old"), Command("/usr/bin/python3", "/new")


class Child:
    def __init__(self, command, options):
        self.command, self.options, self.ended_at, self.returncode = command, options, None, None


@pytest.fixture
def world(monkeypatch):
    class World:
        now = 100.0

        def monotonic(self):
            return self.now

        def run(self):
            """The manager of this moment, started if it is due."""
            self.now += 30
            self.managers.current.start_if_due(pytest.fail)
            return self.managers.current.child

        def ends(self, child, lifetime, returncode=1):
            child.ended_at, child.returncode = self.now, returncode
            return self.managers.ended(child, lifetime)

    world = World()
    monkeypatch.setattr(programs, "time", world)
    world.managers = Managers(lambda command, _, *options: Child(command, options), OLD)
    world.managers.current.want()
    return world


def test_a_candidate_that_takes_the_lease_is_in_charge(world):
    old = world.run()
    candidate = world.managers.try_upgrade(NEW)
    assert (candidate.command, candidate.options) == (NEW, ("--upgrade",))
    assert world.managers.promote() is old
    assert world.managers.leaving is old
    assert world.ends(old, 100.0) == "left"
    assert world.managers.leaving is None
    assert world.managers.current.child is candidate
    assert world.managers.current.due is None  # nobody is started in the old one's place


def test_a_candidate_that_ends_changes_nothing(world):
    old = world.run()
    candidate = world.managers.try_upgrade(NEW)
    assert world.ends(candidate, 0.1) == "candidate"
    assert world.managers.current.child is old
    assert world.managers.command == OLD
    world.managers.try_upgrade(NEW)  # and another one may try


def test_one_upgrade_at_a_time(world):
    world.run()
    world.managers.try_upgrade(NEW)
    with pytest.raises(LinkError, match="under way"):
        world.managers.try_upgrade(NEW)


def test_a_candidate_has_its_time(world):
    world.run()
    candidate = world.managers.try_upgrade(NEW)
    assert world.managers.due == world.now + CANDIDATE_WITHIN
    assert world.managers.late_candidate() is None
    world.now += CANDIDATE_WITHIN + 1
    assert world.managers.late_candidate() is candidate


@pytest.mark.parametrize(("lifetime", "command"), [(FAST - 1, OLD), (FAST + 1, NEW)])
def test_a_version_that_does_not_last_is_followed_by_the_one_before(world, lifetime, command):
    world.run()
    candidate = world.managers.try_upgrade(NEW)
    world.managers.promote()
    assert world.ends(candidate, lifetime) == "current"
    assert world.run().command == command


def test_without_an_upgrade_there_is_nothing_to_fall_back_to(world):
    for _ in range(FAST_FAILURES + 2):
        assert world.run().command == OLD
        world.ends(world.managers.current.child, 0.1)


def test_the_good_one_is_what_lasted_last(world):
    world.run()
    candidate = world.managers.try_upgrade(NEW)
    world.managers.promote()
    world.ends(candidate, FAST + 1)
    for _ in range(FAST_FAILURES + 2):
        assert world.run().command == NEW
        world.ends(world.managers.current.child, 0.1)
