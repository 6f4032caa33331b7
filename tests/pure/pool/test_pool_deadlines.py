"""Deadlines against a dictionary."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.pool.rules.deadlines import Deadlines

steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 8), st.integers(0, 100)),
        st.tuples(st.just("remove"), st.integers(0, 8), st.just(0)),
        st.tuples(st.just("due"), st.just(0), st.integers(0, 100)),
    ),
    max_size=80,
)


@given(steps=steps)
@settings(max_examples=300, deadline=None)
def test_it_is_a_dictionary_of_moments(steps):
    deadlines, model = Deadlines(), {}
    for step, key, when in steps:
        if step == "set":
            deadlines.set(key, when)
            model[key] = when
        elif step == "remove":
            assert deadlines.remove(key) == (model.pop(key, None) is not None)
        else:
            due = deadlines.due(when)
            expected = {one for one, moment in model.items() if moment <= when}
            assert len(due) == len(set(due))
            assert set(due) == expected
            assert [model[one] for one in due] == sorted(model[one] for one in expected)
            for one in due:
                del model[one]
        assert len(deadlines) == len(model)
        assert deadlines.next() == (min(model.values()) if model else None)
        assert all(one in deadlines for one in model)


def test_a_limit_that_is_set_and_lifted_for_ever_holds_no_memory():
    deadlines = Deadlines()
    deadlines.set("stays", 1.0)  # at the head, so that no removed entry is met
    for number in range(100_000):
        deadlines.set(number, 1e9 - number)
        deadlines.remove(number)
    assert len(deadlines._heap) < 200
    assert deadlines.due(2.0) == ["stays"]
    assert deadlines.next() is None


def test_keys_need_no_order():
    deadlines = Deadlines()
    one, two = object(), object()
    deadlines.set(one, 5.0)
    deadlines.set(two, 5.0)
    assert deadlines.due(5.0) == [one, two]
    assert deadlines.due(5.0) == []


def test_clear_forgets_all():
    deadlines = Deadlines()
    deadlines.set(1, 1.0)
    deadlines.clear()
    assert deadlines.next() is None
    assert deadlines.due(10.0) == []
