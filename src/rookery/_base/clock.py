"""Time as an object.

Code below the outermost rows never reads the system's clock: it is handed a Clock. Monotonic time is for
durations, wall time for people and cron.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What tells the time. All values are float seconds."""

    def monotonic(self) -> float:
        """Seconds that only ever grow; the zero point means nothing."""
        ...

    def wall(self) -> float:
        """Seconds since 1970 in UTC; may jump."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds; at once for zero or less (other tasks get a turn)."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """See Clock."""
        return time.monotonic()

    def wall(self) -> float:
        """See Clock."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(max(0.0, seconds))
