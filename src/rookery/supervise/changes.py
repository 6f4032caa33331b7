"""Waiting for a unit to be up, or down."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rookery.lifecycle.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery._base.clock import Clock
    from rookery.supervise.unit import Unit


class Changes:
    """Wakes all who wait, at each change. One event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = asyncio.Event()

    def tell(self) -> None:
        """There is a change."""
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self) -> None:
        """Return at the next change."""
        await self._next.wait()

    async def wait_within(self, seconds: float) -> None:
        """Return at the next change or after so many seconds, whichever is first."""
        waits = {asyncio.ensure_future(self._next.wait()), asyncio.ensure_future(self._clock.sleep(seconds))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


async def settled(
    unit: Unit, changes: Changes, *, crashes: int, min_uptime: float, says_ready: Callable[[], bool]
) -> bool:
    """See Unit.settled. says_ready: whether it is up when it has said so, and not by its age."""
    while True:
        if unit.crashes != crashes:
            return False
        if unit.state is State.RUNNING and says_ready():
            if unit.is_ready:
                return True
            await changes.wait()
        elif unit.state is State.RUNNING:
            remaining = min_uptime - (unit.uptime or 0.0)
            if remaining <= 0:
                return True
            await changes.wait_within(remaining)
        elif unit.state in (State.STARTING, State.STOPPING):
            await changes.wait()
        else:
            return False
