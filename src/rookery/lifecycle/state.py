"""The state table of anything that is kept alive.

State and event select the next state; what is not in the table cannot happen (ImpossibleTransition). *ready* is a
fact beside the state, not a state. docs/concepts/states.md is drawn from this table.
"""

from __future__ import annotations

from enum import Enum

from rookery.errors import ImpossibleTransition


class State(Enum):
    """Where an instance is in its life."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    EXITED = "exited"
    FATAL = "fatal"

    def __str__(self) -> str:
        return self.value


class Event(Enum):
    """What can happen to it."""

    START = "start asked"
    ADOPTED = "found running"
    SPAWNED = "exec succeeded"
    FAILED_RETRY = "could not start, will try again"
    EXITED_RETRY = "ended, will be started again"
    DELAY_OVER = "delay over"
    EXITED_DONE = "ended, needs no restart"
    GIVE_UP = "gave up"
    STOP = "stop asked"
    GONE = "nothing of it left"

    def __str__(self) -> str:
        return self.value


TABLE: dict[tuple[State, Event], State] = {
    (State.STOPPED, Event.START): State.STARTING,
    (State.EXITED, Event.START): State.STARTING,
    (State.FATAL, Event.START): State.STARTING,
    (State.BACKOFF, Event.START): State.STARTING,
    (State.BACKOFF, Event.DELAY_OVER): State.STARTING,
    (State.STOPPED, Event.ADOPTED): State.RUNNING,
    (State.EXITED, Event.ADOPTED): State.RUNNING,
    (State.FATAL, Event.ADOPTED): State.RUNNING,
    (State.STARTING, Event.SPAWNED): State.RUNNING,
    (State.STARTING, Event.FAILED_RETRY): State.BACKOFF,
    (State.STARTING, Event.GIVE_UP): State.FATAL,
    (State.STARTING, Event.STOP): State.STOPPING,
    (State.RUNNING, Event.EXITED_RETRY): State.BACKOFF,
    (State.RUNNING, Event.EXITED_DONE): State.EXITED,
    (State.RUNNING, Event.GIVE_UP): State.FATAL,
    (State.RUNNING, Event.STOP): State.STOPPING,
    (State.BACKOFF, Event.STOP): State.STOPPED,
    (State.EXITED, Event.STOP): State.STOPPED,
    (State.FATAL, Event.STOP): State.STOPPED,
    (State.STOPPING, Event.GONE): State.STOPPED,
}

UP = frozenset({State.STARTING, State.RUNNING, State.STOPPING})
"""States in which there may be a process."""


def next_state(state: State, event: Event) -> State:
    """The state after event. Raises ImpossibleTransition where the table has no such step."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise ImpossibleTransition(state.name, event.name) from None


def mermaid() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> stopped"]
    lines += [f"    {start} --> {end}: {event}" for (start, event), end in TABLE.items()]
    return "\n".join(lines) + "\n"
