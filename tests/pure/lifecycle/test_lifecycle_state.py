import itertools
import re
from pathlib import Path

import pytest

from rookery.errors import ImpossibleTransition
from rookery.lifecycle.state import TABLE, UP, Event, State, mermaid, next_state

PAGE = Path(__file__).parents[3] / "docs/concepts/states.md"


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)), ids=lambda one: one.name)
def test_each_pair_is_in_the_table_or_impossible(state, event):
    if (state, event) in TABLE:
        assert next_state(state, event) is TABLE[state, event]
    else:
        with pytest.raises(ImpossibleTransition) as raised:
            next_state(state, event)
        assert (raised.value.state, raised.value.event) == (state.name, event.name)


def test_every_state_can_be_reached_and_left():
    reached = {State.STOPPED}
    while more := {end for (start, _), end in TABLE.items() if start in reached} - reached:
        reached |= more
    assert reached == set(State)
    assert {start for start, _ in TABLE} == set(State)


def test_every_event_is_used():
    assert {event for _, event in TABLE} == set(Event)


@pytest.mark.parametrize("state", [state for state in State if state is not State.STOPPED])
def test_every_state_but_stopped_has_a_way_to_stopped_by_stop_alone(state):
    after = state if state is State.STOPPING else next_state(state, Event.STOP)
    assert after is State.STOPPED or next_state(after, Event.GONE) is State.STOPPED


def test_only_states_with_a_process_end_by_themselves():
    assert {start for (start, event) in TABLE if event in (Event.EXITED_RETRY, Event.EXITED_DONE)} <= UP


def test_states_are_shown_in_lower_case():
    assert {str(state) for state in State} == {state.name.lower() for state in State}


def test_the_page_shows_exactly_this_table():
    drawn = re.findall(r"```mermaid\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert drawn == [mermaid()], "docs/concepts/states.md: put the output of lifecycle.state.mermaid() there"


@pytest.mark.parametrize("state", list(State))
def test_the_page_explains_each_state(state):
    assert f"| **{state}** |" in PAGE.read_text()
