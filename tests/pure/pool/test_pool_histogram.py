"""The histogram against a sorted list."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.pool.rules.histogram import LONGEST, SHORTEST, Histogram, Times

durations = st.one_of(st.floats(SHORTEST, LONGEST), st.floats(-6, 5).map(lambda power: min(10.0**power, LONGEST)))


def filled(values):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def exact(values, percent):
    """The smallest value that so many percent do not exceed."""
    return sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]


@given(values=st.lists(durations, min_size=1, max_size=60), percent=st.integers(0, 100))
@settings(max_examples=300, deadline=None)
def test_a_percentile_is_within_five_percent(values, percent):
    histogram = filled(values)
    assert histogram.percentile(percent) == pytest.approx(exact(values, percent), rel=0.05)
    assert histogram.count == len(values)
    assert histogram.mean == pytest.approx(sum(values) / len(values))
    assert histogram.max == max(values)


@given(one=st.lists(durations, max_size=30), other=st.lists(durations, max_size=30))
@settings(max_examples=200, deadline=None)
def test_merged_is_as_if_counted_together(one, other):
    merged, together = filled(one), filled(one + other)
    merged.merge(filled(other))
    assert merged.count == together.count
    assert merged.max == together.max
    assert merged.total == pytest.approx(together.total)
    assert [merged.percentile(p) for p in (0, 50, 100)] == [together.percentile(p) for p in (0, 50, 100)]


def test_nothing_was_counted():
    assert Histogram().summary() == Times(0, None, None, None, None, None)


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0, 0.0), (-3.0, 0.0), (-0.0, 0.0), (1e-9, 1e-9), (1e7, LONGEST), (1e-7, 1e-7)],
)
def test_outside_of_the_range_counts_as_the_nearest(value, told):
    histogram = filled([value] * 10)
    assert histogram.count == 10
    assert histogram.percentile(50) == pytest.approx(told, rel=0.05)
    assert histogram.max == max(0.0, value)
    assert histogram.mean == pytest.approx(max(0.0, value))


def test_a_strange_value_among_others_changes_no_other():
    histogram = filled([1.0] * 98 + [-1.0, 1e9])
    assert histogram.count == 100
    assert [histogram.percentile(percent) for percent in (1, 2, 99)] == pytest.approx([1e-6, 1.0, 1.0], rel=0.05)
    assert histogram.total == 98 + 1e9


def test_memory_is_bounded():
    histogram = Histogram()
    for number in range(200_000):
        histogram.add(1e-8 * 1.0002**number)
    assert histogram.count == 200_000
    assert len(histogram._counts) <= 600
    assert len(histogram._values) < 1024


def test_append_and_settle_are_add():
    histogram = Histogram()
    for _ in range(3):
        histogram.append(2.0)
    histogram.settle()
    histogram.append(4.0)  # the same list, after it was sorted in
    assert histogram.count == 4
    assert histogram.total == 10.0
    assert histogram.max == 4.0
