"""The transitions of a unit, told as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rookery.apps.translate import exit_info
from rookery.lifecycle.state import Event, State

if TYPE_CHECKING:
    from rookery.apps.copies import Copy
    from rookery.apps.events import Events
    from rookery.supervise.record import UnitEvent


def tell(events: Events, copy: Copy, told: UnitEvent) -> None:
    """Add what happened, then the transition that followed from it."""
    one, unit = copy.instance, copy.unit
    if told.event is Event.SPAWNED:
        events.add("start", one, pid=unit.pid, reason=told.reason)
    elif told.event is Event.ADOPTED:
        events.add("adopted", one, pid=unit.pid, reason=told.reason)
    elif told.before is State.STARTING and told.after in (State.BACKOFF, State.FATAL):
        events.add("start_failed", one, reason=told.reason)
    elif _has_ended(told):
        if told.before is State.RUNNING and unit.last_exit is not None:
            one.streak = one.streak.after(
                unit.last_exit.status, lifetime=unit.last_exit.lifetime, stable_after=unit.policy.stable_after
            )
        ended = exit_info(unit.last_exit)
        if ended is not None:
            events.add("exit", one, code=ended.code, signal=ended.signal, reason=ended.reason)
    events.add("state", one, before=str(told.before), after=str(told.after), pid=unit.pid, reason=told.reason)


def _has_ended(told: UnitEvent) -> bool:
    return told.event is Event.GONE or (
        told.before is State.RUNNING and told.after in (State.BACKOFF, State.EXITED, State.FATAL)
    )
