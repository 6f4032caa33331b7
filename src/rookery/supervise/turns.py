"""One operation at a time, each to its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from rookery import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class Turns:
    """Operations run one after the other in the order they were asked for, and go on when who asked is cancelled.

    name: of whom they are, for errors. One event loop.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.lock = asyncio.Lock()
        """Held by the operation whose turn it is."""
        self.is_closed = False
        self._tasks: set[asyncio.Task[object]] = set()

    async def take(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Do work when it is its turn. Raises UsageError after close(), and when closed over it."""

        async def in_turn() -> T:
            async with self.lock:
                return await work()

        self.check_open()
        task = self.keep(in_turn())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if task.cancelled() and not (caller and caller.cancelling()):
                self.check_open()  # we were closed; nobody has cancelled the caller
            raise

    def check_open(self) -> None:
        """Raise UsageError after close()."""
        if self.is_closed:
            raise errors.UsageError(f"{self._name!r} has been closed")

    def keep(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run work beside the operations; close() ends it too."""
        task: asyncio.Task[T] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Give up whatever is going on, where it is."""
        self.is_closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
