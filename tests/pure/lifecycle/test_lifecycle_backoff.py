import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.lifecycle.restart import Backoff

backoffs = st.builds(
    Backoff,
    base=st.floats(0, 1e6),
    factor=st.floats(1, 1e6),
    cap=st.floats(0, 1e6),
    jitter=st.booleans(),
    kind=st.sampled_from(["exponential", "linear"]),
)


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        (Backoff(), [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]),
        (Backoff(base=1, kind="linear", cap=5), [1, 2, 3, 4, 5, 5]),
        (Backoff(base=2, factor=1), [2, 2, 2]),
        (Backoff(base=0), [0, 0, 0]),
        (Backoff(base=60, cap=10), [10, 10]),
    ],
)
def test_how_the_longest_delay_grows(backoff, expected):
    assert [backoff.ceiling(attempt) for attempt in range(len(expected))] == [pytest.approx(one) for one in expected]


@given(backoff=backoffs, attempt=st.integers(0, 10**400), drawn=st.floats(0, 1))
def test_a_delay_is_within_its_bounds_however_many_attempts(backoff, attempt, drawn):
    ceiling = backoff.ceiling(attempt)
    assert 0 <= ceiling <= backoff.cap
    delay = backoff.delay(attempt, lambda: drawn)
    assert delay == (ceiling * drawn if backoff.jitter else ceiling)


@given(backoff=backoffs, attempt=st.integers(0, 100))
def test_the_longest_delay_never_shrinks(backoff, attempt):
    assert backoff.ceiling(attempt) <= backoff.ceiling(attempt + 1)


@pytest.mark.parametrize("factor", [2, 10, 10.0, 1e300])
def test_nothing_to_grow_stays_nothing(factor):
    assert Backoff(base=0, factor=factor).ceiling(10**6) == 0


def test_a_fixed_delay_stays_fixed_for_ever():
    assert Backoff(base=3, factor=1).ceiling(10**400) == 3


def test_without_jitter_nothing_is_drawn():
    assert Backoff(jitter=False).delay(0, lambda: pytest.fail("drawn")) == 0.1
