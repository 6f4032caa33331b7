"""The keeper's own two programs come back."""

from __future__ import annotations

import pytest

from rookery.daemon.keeper import programs
from rookery.daemon.keeper.programs import FAST, Respawned
from rookery.errors import SpawnError


class Moments:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def time(monkeypatch):
    moments = Moments()
    monkeypatch.setattr(programs, "time", moments)
    return moments


@pytest.fixture
def program(time):
    started = []

    def start(generation):
        started.append((generation, time.now))
        if program.error:
            raise program.error
        return object()

    program = Respawned(start)
    program.started, program.error, program.said = started, None, []
    program.turn = lambda: program.start_if_due(program.said.append)
    return program


def test_it_is_not_started_unless_wanted(program):
    program.turn()
    assert program.started == []


def test_it_comes_back_at_once_and_then_after_growing_pauses(program, time):
    program.want()
    waits = []
    for _ in range(9):
        program.turn()
        program.ended(0.1)
        waits.append(program.due - time.now)
        time.now = program.due
    assert waits == pytest.approx([0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0])
    assert [generation for generation, _ in program.started] == list(range(1, 10))


def test_a_pause_is_kept(program, time):
    program.want()
    for _ in range(3):
        program.turn()
        program.ended(0.0)
        time.now = program.due
    program.turn()
    program.ended(0.0)
    time.now = program.due - 0.01
    program.turn()
    assert len(program.started) == 4


def test_after_a_long_life_it_comes_back_at_once(program, time):
    program.want()
    for _ in range(5):
        program.turn()
        program.ended(0.1)
        time.now = program.due
    program.turn()
    program.ended(FAST)
    assert program.due == time.now


def test_what_is_dropped_does_not_come_back(program):
    program.want()
    program.turn()
    program.drop()
    program.ended(100.0)
    assert program.due is None


def test_wanting_twice_starts_once(program):
    program.want()
    program.turn()
    program.want()
    program.turn()
    assert len(program.started) == 1


def test_a_failed_start_is_told_and_tried_again(program, time):
    program.error = SpawnError("no memory", argv=["x"])
    program.want()
    program.turn()
    assert "no memory" in program.said[0]
    time.now = program.due
    program.error = None
    program.turn()
    assert program.child is not None
