"""One decision at a time: tables."""

from __future__ import annotations

import pytest

from rookery.lifecycle.exit import ExitStatus
from rookery.lifecycle.restart import RestartPolicy
from rookery.pool.rules.sizing import SizeFacts, Sizer, Sizing

NOW = 1000.0
KILLED = ExitStatus(signal=9, signal_name="SIGKILL")


def idle(*ages):
    """Idle workers, named by how long they have been so."""
    return [(f"i{age}", NOW - age) for age in ages]


def busy(count):
    return [f"b{number}" for number in range(count)]


def decided(sizer=None, now=NOW, **facts):
    facts = {"minimum": 0, "maximum": 4, **facts}
    return (sizer or Sizer(idle_timeout=300.0)).how_many(now, SizeFacts(**facts))


@pytest.mark.parametrize(
    ("start", "facts"),
    [
        (0, {}),
        (2, {"minimum": 2}),
        (1, {"minimum": 2, "starting": 1}),
        (0, {"minimum": 2, "starting": 2}),
        (0, {"minimum": 9, "maximum": 4, "starting": 4}),  # never above max, whatever the minimum
        (1, {"queued": 1}),
        (3, {"queued": 3}),
        (4, {"queued": 100}),
        (1, {"queued": 1, "busy": busy(1)}),
        (0, {"queued": 1, "idle": idle(1)}),
        (0, {"queued": 1, "starting": 1}),
        (0, {"queued": 2, "starting": 1, "idle": idle(1)}),
        (1, {"queued": 3, "starting": 1, "idle": idle(1)}),
        (2, {"queued": 9, "busy": busy(1), "starting": 1}),
        (0, {"queued": 9, "busy": busy(3), "starting": 1}),
        (0, {"queued": 9, "busy": busy(3), "leaving": 1}),  # who leaves still lives
        (1, {"queued": 9, "busy": busy(2), "leaving": 1}),
        (0, {"queued": 9, "leaving": 6}),
        (2, {"asked": 2}),
        (1, {"asked": 5, "idle": idle(1), "busy": busy(2)}),
        (0, {"is_closing": True, "minimum": 2}),  # nobody comes back after the end
        (1, {"is_closing": True, "queued": 1}),  # but what waits is still done
        (0, {"is_closing": True, "asked": 3}),
    ],
)
def test_how_many_start(start, facts):
    assert decided(**facts).start == start


@pytest.mark.parametrize(
    ("stop", "again", "facts"),
    [
        ((), 100.0, {"idle": idle(200)}),
        (("i300",), None, {"idle": idle(300)}),
        (("i400", "i300"), 1.0, {"idle": idle(299, 300, 400)}),
        (("i400",), None, {"idle": idle(400, 300), "minimum": 1}),  # the longest first
        ((), None, {"idle": idle(400), "minimum": 1}),
        ((), None, {"idle": idle(400), "busy": busy(1), "minimum": 2}),
        ((), None, {"idle": idle(400), "starting": 1, "minimum": 1}),  # it may yet fail
        ((), 300.0, {"idle": idle(400), "queued": 1}),  # in a moment it is not idle
        ((), 300.0, {"busy": busy(2), "minimum": 1}),  # they may be idle a moment later
        (("i400",), 300.0, {"busy": busy(1), "idle": idle(400)}),
        (("i1", "i0"), None, {"is_closing": True, "idle": idle(0, 1)}),
        (("i1",), None, {"is_closing": True, "idle": idle(0, 1), "queued": 1}),
    ],
)
def test_who_stops(stop, again, facts):
    sizing = decided(**facts)
    assert sizing.stop == stop
    assert sizing.again == (again and (NOW + again))
    assert (sizing.start, sizing.retire) == (0, ())


def test_no_idle_timeout_no_end():
    assert decided(Sizer(idle_timeout=None), idle=idle(10**9)) == Sizing()


@pytest.mark.parametrize(
    ("stop", "retire", "facts"),
    [
        (("i5",), (), {"maximum": 1, "idle": idle(3, 5)}),
        (("i5",), (), {"maximum": 2, "idle": idle(5), "busy": busy(2)}),
        (("i5",), ("b1",), {"maximum": 1, "idle": idle(5), "busy": busy(2)}),
        ((), ("b1", "b2"), {"maximum": 1, "busy": busy(3)}),
        ((), (), {"maximum": 1, "busy": busy(1), "starting": 2}),  # they are stopped when they are ready
        ((), ("b1",), {"maximum": 1, "busy": busy(2), "starting": 1}),
        ((), (), {"maximum": 1, "busy": busy(1), "leaving": 3}),  # told already
        (("i5",), (), {"maximum": 1, "idle": idle(3, 5), "minimum": 2, "queued": 7}),
    ],
)
def test_a_lower_maximum(stop, retire, facts):
    sizing = decided(**facts)
    assert (sizing.start, sizing.stop, sizing.retire) == (0, stop, retire)


def test_a_failed_start_delays_the_next_and_the_delay_grows():
    sizer, now, delays = Sizer(), NOW, []
    for _ in range(9):
        sizer.start_failed(now, "no memory")
        again = decided(sizer, now, minimum=2).again
        delays.append(again - now)
        assert decided(sizer, again, minimum=2) == Sizing(start=1)  # one, though two are missing
        assert decided(sizer, again, minimum=2, starting=1).start == 0
        now = again
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5])


def test_many_that_fail_together_count_once_for_the_delay():
    sizer = Sizer()
    for _ in range(64):
        sizer.start_failed(NOW, "no memory")
    assert decided(sizer, minimum=1).again == pytest.approx(NOW + 0.1)


def test_three_failed_starts_and_nobody_left_give_up():
    sizer = Sizer()
    for _ in range(2):
        sizer.start_failed(NOW, "ImportError: numpy")
        assert decided(sizer, queued=5).gave_up == ""
    sizer.start_failed(NOW, "ImportError: numpy")
    assert decided(sizer, queued=5, starting=1).gave_up == ""
    assert decided(sizer, queued=5, busy=busy(1)).gave_up == ""
    assert decided(sizer, queued=5, leaving=1).gave_up == ""
    assert decided(sizer, queued=0).gave_up == ""
    sizing = decided(sizer, queued=5)
    assert sizing.gave_up == "3 starts in a row failed, and no worker is left; the last: ImportError: numpy"
    assert sizing.start == 0


def test_after_giving_up_later_tasks_are_worth_one_try_each_time():
    sizer = Sizer()
    for _ in range(3):
        sizer.start_failed(NOW, "no")
    assert decided(sizer, queued=1).gave_up
    later = NOW + 60
    assert decided(sizer, later, queued=5) == Sizing(start=1)
    assert decided(sizer, later, queued=5, starting=1) == Sizing()
    sizer.start_failed(later, "still no")
    assert "still no" in decided(sizer, later, queued=5).gave_up


def test_a_worker_that_is_of_use_ends_the_brake():
    sizer = Sizer()
    sizer.start_failed(NOW, "no")
    assert sizer.is_braking
    sizer.worked(NOW - 1)  # it was ready before
    assert sizer.is_braking
    sizer.worked(NOW + 0.1)
    assert not sizer.is_braking
    assert decided(sizer, NOW + 1, queued=4) == Sizing(start=4)
    sizer.start_failed(NOW + 1, "no")
    assert decided(sizer, NOW + 1, queued=4).again == pytest.approx(NOW + 1.1)  # the delay begins again


def test_a_new_worker_that_stays_ends_the_brake_without_a_task():
    sizer = Sizer()
    sizer.start_failed(NOW, "no")
    old, young = ("old", NOW - 1), ("young", NOW + 1)
    decided(sizer, NOW + 100, minimum=1, idle=[old])
    assert sizer.is_braking  # it was there before
    decided(sizer, NOW + 10.9, minimum=1, idle=[young])
    assert sizer.is_braking
    decided(sizer, NOW + 11, minimum=1, idle=[young])
    assert not sizer.is_braking


@pytest.mark.parametrize(("lifetime", "tasks"), [(0.001, 1), (5.0, 300), (10.0, 0), (3600.0, 0)])
def test_a_worker_that_was_of_use_is_replaced_at_once(lifetime, tasks):
    sizer = Sizer()
    for _ in range(20):
        sizer.died(NOW, lifetime=lifetime, tasks=tasks, status=KILLED)
        assert decided(sizer, minimum=2, queued=1, busy=busy(1)).start == 1


def test_workers_that_die_right_after_they_are_ready_are_a_failed_start():
    sizer, now = Sizer(), NOW
    for _ in range(3):
        sizer.died(now, lifetime=0.2, tasks=0, status=KILLED)
        sizing = decided(sizer, now, minimum=1)
        assert sizing.start == 0
        now = sizing.again
    assert decided(sizer, now, queued=1).gave_up.endswith("a worker killed by SIGKILL 0.2 s after it was ready")


def test_workers_that_die_soon_but_not_at_once_are_braked_and_nothing_is_given_up():
    sizer, now, delays = Sizer(), NOW, []
    for _ in range(8):
        sizer.died(now, lifetime=5.0, tasks=0, status=ExitStatus(code=0))
        sizing = decided(sizer, now, minimum=1, queued=1)
        assert sizing.gave_up == ""
        delays.append(sizing.again - now)
        now = sizing.again
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5])


def test_a_policy_that_never_restarts_waits_its_longest_delay():
    sizer = Sizer(policy=RestartPolicy(when="never"))
    sizer.start_failed(NOW, "no")
    assert decided(sizer, minimum=1).again == NOW + 30


def test_callers_that_grow_it_at_the_same_time_do_not_overshoot():
    sizer, starting = Sizer(), 0
    for queued in range(1, 50):
        starting += decided(sizer, queued=queued, starting=starting).start
        assert starting == min(queued, 4)
