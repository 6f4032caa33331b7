"""Which ends of an app are worth a word."""

from __future__ import annotations

import pytest

from rookery.lifecycle.exit import ExitStatus
from rookery.lifecycle.hints import Streak, ends_well_again, failed_start

OK, BAD, KILLED = ExitStatus(code=0), ExitStatus(code=3), ExitStatus.from_returncode(-9)


@pytest.mark.parametrize(
    ("exits", "count"),
    [
        ([], 0),
        ([(OK, 0.1)], 1),
        ([(OK, 0.1)] * 3, 3),
        ([(OK, 0.1), (BAD, 0.1)], 1),
        ([(BAD, 0.1), (BAD, 9.9), (BAD, 0.0)], 3),
        ([(KILLED, 1.0), (KILLED, 1.0)], 2),
        ([(OK, 0.1), (OK, 10.0)], 0),  # it ran for long: not soon after its start
        ([(OK, 10.0), (OK, 0.1)], 1),
        ([(OK, 0.1), (OK, 0.1), (OK, 3600.0), (OK, 0.1)], 1),
        ([(ExitStatus(), None), (ExitStatus(), None)], 0),
    ],
)
def test_exits_in_a_row(exits, count):
    streak = Streak()
    for status, lifetime in exits:
        streak = streak.after(status, lifetime=lifetime, stable_after=10.0)
    assert streak.count == count


@pytest.mark.parametrize(
    ("code", "repeats", "said"),
    [
        (0, 1, ""),
        (0, 2, ""),
        (0, 3, "job has ended with 0 three times; if it is meant to end: --restart on-failure"),
        (0, 17, "job has ended with 0 17 times; if it is meant to end: --restart on-failure"),
        (1, 17, ""),
        (None, 17, ""),
    ],
)
def test_ending_well_again_and_again(code, repeats, said):
    assert ends_well_again("job", code, repeats) == said


@pytest.mark.parametrize(
    ("code", "is_retried", "said"),
    [
        (0, True, "job ended with 0 and is started again and again; if it is meant to end: --restart on-failure"),
        (3, True, "job is started again and again; to end that: rook stop job"),
        (None, True, "job is started again and again; to end that: rook stop job"),
        (3, False, ""),
        (0, False, ""),
    ],
)
def test_a_failed_start(code, is_retried, said):
    assert failed_start("job", code, is_retried=is_retried) == said
