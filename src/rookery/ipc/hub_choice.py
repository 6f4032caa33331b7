"""Who gets a task: pure rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from rookery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

ROUND_ROBIN: Final = "round-robin"
LEAST_BUSY: Final = "least-busy"
WAYS: Final = (ROUND_ROBIN, LEAST_BUSY)


class Candidate(Protocol):
    """running: tasks underway; last: a number that grew with each task that was given to it."""

    @property
    def running(self) -> int:
        """Tasks underway."""
        ...

    @property
    def last(self) -> int:
        """When it was last given a task, as a growing number; 0 for never."""
        ...


T = TypeVar("T", bound=Candidate)


def choose(candidates: Sequence[T], way: str, *, most: int) -> T | None:
    """The one who gets the next task, or None where each has as many as it may (most).

    round-robin: who was given one longest ago. least-busy: who has fewest underway, among equals as round-robin.
    """
    free = [one for one in candidates if one.running < most]
    if not free:
        return None
    if way == ROUND_ROBIN:
        return min(free, key=lambda one: one.last)
    return min(free, key=lambda one: (one.running, one.last))


def check_way(way: str) -> str:
    """The way itself. Raises UsageError where there is none of that name."""
    if way not in WAYS:
        raise UsageError(f"tasks cannot be assigned {way!r}", hint=f"take one of {', '.join(WAYS)}")
    return way
