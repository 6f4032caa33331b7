"""Waiting for a wake that may come at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context


class Wait:
    """Like a Future without a value, but its waker may run the task on the spot.

    A Future's task runs in the loop's next turn; whoever wakes it from a reader's callback, where no task is running,
    need not wait for that: it saves a tenth of a round trip. asyncio takes any object of this shape for a Future.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_is_cancelled", "_loop", "was_woken")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._is_cancelled = False
        self.was_woken = False

    def wake(self, *, now: bool) -> bool:
        """Let the task go on, now or in the next turn; False where it was cancelled before."""
        if self._is_cancelled:
            return False
        self.was_woken = True
        callback, context = self._callback, self._context
        if callback is None or context is None:
            return True  # it has not begun to wait
        self._callback = None
        if now:
            context.run(callback, self)
        else:
            self._loop.call_soon(callback, self, context=context)
        return True

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 - asyncio's own
        """Called by the task that is cancelled."""
        if self.was_woken or self._is_cancelled:
            return False
        self._is_cancelled = True
        if self._callback is not None and self._context is not None:
            self._loop.call_soon(self._callback, self, context=self._context)
        return True

    def result(self) -> None:
        """Raises CancelledError where it was cancelled."""
        if self._is_cancelled:
            raise asyncio.CancelledError

    def done(self) -> bool:
        """Whether nobody waits any more."""
        return self.was_woken or self._is_cancelled

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Asked by the task, which belongs to the same one."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context) -> None:
        """What the task wants to have called."""
        self._callback = callback
        self._context = context

    def __await__(self) -> Generator[Any, None, None]:
        if not self.done():
            self._asyncio_future_blocking = True
            yield self
        return self.result()
