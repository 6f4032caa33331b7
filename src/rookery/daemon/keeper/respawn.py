"""The two programs that the keeper starts again by itself: manager and collector."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.daemon.keeper.children import Child

FAST = 5.0
_PAUSES = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0)


class Respawned:
    """One program that is to run as long as the keeper does.

    start: starts it and returns the child; raises SpawnError. The keeper has no restart policy to choose from: these
    two are ours, they come back at once, then after growing pauses while they fail fast.
    """

    def __init__(self, start: Callable[[int], Child]) -> None:
        self._start = start
        self.child: Child | None = None
        self.generation = 0
        self.wanted = False
        self.due: float | None = None
        self._fast_failures = 0

    def want(self) -> None:
        """Start it now and whenever it ends."""
        self.wanted = True
        if self.child is None:
            self.due = time.monotonic()

    def drop(self) -> None:
        """Do not start it again."""
        self.wanted = False
        self.due = None

    def start_if_due(self, complain: Callable[[str], None]) -> None:
        """Start it where its pause is over."""
        if self.due is None or time.monotonic() < self.due:
            return
        self.due = None
        self.generation += 1
        try:
            self.child = self._start(self.generation)
        except Exception as error:  # whatever it is, the keeper must live on
            complain(f"could not start: {error}")
            self.ended(0.0)

    def ended(self, lifetime: float) -> None:
        """It ended after so many seconds; plan the next start."""
        self.child = None
        if lifetime >= FAST:
            self._fast_failures = 0
        if self.wanted:  # not where the start itself has found that it is not wanted any more
            self.due = time.monotonic() + _PAUSES[min(self._fast_failures, len(_PAUSES) - 1)]
            self._fast_failures += 1
