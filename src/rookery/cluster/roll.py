"""Rolling replacement: one after the other, new before old, given up at the first that fails.

for each slot:  begin (new is ready, beside the old) ──► settle ──► commit (old drains, new has the place)
                      └── fails ──► discard the new, keep the old, begin no other

Pure but for waiting: it knows neither processes nor sockets, so whoever can do these four things can be rolled.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable

M = TypeVar("M")
T = TypeVar("T")


class Crew(Protocol[M]):
    """Who has members in slots."""

    async def begin(self, slot: int) -> M | None:
        """Start the slot's next member beside the present one; return it when it is ready.

        None where there is no such slot any more. Raises; then nothing of it is left. Cancelled: the same.
        """
        ...

    async def settle(self, slot: int, new: M) -> None:
        """Return when it has proved itself. Raises where it fell."""
        ...

    async def commit(self, slot: int, new: M) -> None:
        """Give it the place, and end the one who had it; return when that one has gone."""
        ...

    async def discard(self, slot: int, new: M) -> None:
        """End it; the present one keeps the place."""
        ...


@dataclass
class Outcome:
    """replaced: slots, in the order in which they were; failed: the slot at which it was given up, and why."""

    replaced: list[int] = field(default_factory=list)
    failed: tuple[int, Exception] | None = None

    def has_failed(self) -> bool:
        """Whether it was given up."""
        return self.failed is not None

    def fail(self, slot: int, error: Exception) -> None:
        """Give it up; the first reason is the one that counts."""
        if self.failed is None:
            self.failed = slot, error


class Roll(Generic[M]):
    """crew: see Crew; max_surge: how many slots are replaced at once."""

    def __init__(self, crew: Crew[M], *, max_surge: int = 1) -> None:
        self._crew = crew
        self._max_surge = max_surge

    async def run(self, slots: Iterable[int]) -> Outcome:
        """Replace the members of these slots. Cancelled: what has not been committed is discarded."""
        outcome = Outcome()
        waiting = iter(list(slots))
        lanes = [asyncio.ensure_future(self._lane(waiting, outcome)) for _ in range(self._max_surge)]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
        return outcome

    async def _lane(self, waiting: Iterable[int], outcome: Outcome) -> None:
        for slot in waiting:
            if outcome.has_failed():
                return
            try:
                new = await self._crew.begin(slot)
            except Exception as error:
                outcome.fail(slot, error)
                return
            if new is None:
                continue
            try:
                await self._crew.settle(slot, new)
                if outcome.has_failed():
                    await self._crew.discard(slot, new)
                    return
            except BaseException as error:
                await to_its_end(self._crew.discard(slot, new))
                if not isinstance(error, Exception):
                    raise
                outcome.fail(slot, error)
                return
            outcome.replaced.append(slot)
            await to_its_end(self._crew.commit(slot, new))


async def to_its_end(work: Awaitable[None]) -> None:
    """Wait for it also when cancelled: a drain must not be left in the middle."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        with contextlib.suppress(Exception):
            task.result()
        raise cancelled
    task.result()


class Joined(Generic[T]):
    """One at a time: who asks for the same thing while it is under way gets what comes of that. Else it waits.

    Who is cancelled stops waiting; the work goes on for the others, until close().
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[T] | None = None
        self._key: Hashable = None

    async def run(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """What work gives. key: what makes it the same."""
        while self._task is not None and not self._task.done() and self._key != key:
            await asyncio.wait({self._task})
        if self._task is None or self._task.done():
            self._key = key
            self._task = asyncio.ensure_future(_awaited(work))
            # Nobody may be left to look at it.
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._task)

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return self._task is not None and not self._task.done()

    async def close(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
