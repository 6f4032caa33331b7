"""What is told of a unit: events, and its last exit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rookery.lifecycle.exit import ExitStatus
    from rookery.lifecycle.state import Event, State


@dataclass(frozen=True, slots=True)
class LastExit:
    """How the last copy ended. at: wall time; lifetime: seconds or None; stderr: its last lines."""

    status: ExitStatus
    reason: str
    at: float
    lifetime: float | None = None
    stderr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitEvent:
    """One transition of one unit, with its reason. at: wall time."""

    unit: str
    before: State
    after: State
    event: Event
    reason: str
    at: float
