"""How long a worker has said nothing. Pure.

Only time in which we were looking counts: where this process itself was stopped, or the whole machine slept, the
worker had no chance either.
"""

from __future__ import annotations


class Silence:
    """seconds: how long, as far as was looked."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.is_known = False
        """Whether it was heard at all; one that never says anything is not missed."""
        self._last: float | None = None
        self._looked: float | None = None

    def heard(self) -> None:
        """It said something."""
        self.is_known = True
        self.seconds = 0.0

    def look(self, heartbeat: float, now: float, *, period: float) -> float:
        """One look; the silence now. heartbeat: its last word, 0 for none; period: between looks, in seconds."""
        if heartbeat and heartbeat != self._last:
            self._last = heartbeat
            self.heard()
        elif self._looked is not None:
            self.seconds += min(now - self._looked, 2 * period)
        self._looked = now
        return self.seconds
