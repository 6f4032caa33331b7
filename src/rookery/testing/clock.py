"""A clock that stands still until it is told to move."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class FakeClock:
    """See rookery's Clock. Time moves only by advance(); sleepers wake in their order. For use without real I/O."""

    def __init__(self, *, start: float = 1000.0, wall: float = 1_700_000_000.0) -> None:
        self._now = start
        self._offset = wall - start
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        """See Clock."""
        return self._now

    def wall(self) -> float:
        """See Clock."""
        return self._now + self._offset

    def set_wall(self, wall: float) -> None:
        """Step the wall clock, as an administrator would; monotonic time does not notice."""
        self._offset = wall - self._now

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move on by so many seconds; whoever should wake on the way does, at its own moment."""
        end = self._now + seconds
        await let_run()
        while self._sleepers and self._sleepers[0][0] <= end:
            moment, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, moment)
            if not future.done():
                future.set_result(None)
                await let_run()
        self._now = end
        await let_run()

    @property
    def sleepers(self) -> int:
        """How many sleep now; a timer that outlives its purpose shows here."""
        return sum(1 for _, _, future in self._sleepers if not future.done())


async def let_run(turns: int = 50) -> None:
    """Let everything that can run do so (callbacks chain, so one turn is not enough)."""
    for _ in range(turns):
        await asyncio.sleep(0)
