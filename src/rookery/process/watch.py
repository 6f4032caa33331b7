"""The time limits of one command: in all, and without output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Limits:
    """Calls over() once, when a limit has passed; ``exceeded`` says which. Seconds, or None for no limit.

    is_held: whether the child cannot write, because somebody here is slow in reading: that is no silence of its own.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        total: float | None,
        idle: float | None,
        over: Callable[[], None],
        *,
        is_held: Callable[[], bool] = lambda: False,
    ) -> None:
        self.exceeded: Literal["timeout", "idle_timeout"] | None = None
        self._loop = loop
        self._idle = idle
        self._over = over
        self._is_held = is_held
        self._heard = loop.time()
        self._total_timer = None if total is None else loop.call_later(total, self._exceed, "timeout")
        self._idle_timer = None if idle is None else loop.call_later(idle, self._look)

    def heard(self, _: bytes) -> None:
        """There was output."""
        self._heard = self._loop.time()

    def disarm(self) -> None:
        """It has ended: no limit is of consequence any more."""
        for timer in (self._total_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()

    def _look(self) -> None:
        if self._is_held():
            self._heard = self._loop.time()
        # One timer for all output: moving one with each chunk would cost more than reading it.
        silent_until = self._heard + (self._idle or 0.0)
        if self._loop.time() >= silent_until:
            self._exceed("idle_timeout")
        else:
            self._idle_timer = self._loop.call_at(silent_until, self._look)

    def _exceed(self, which: Literal["timeout", "idle_timeout"]) -> None:
        if self.exceeded is None:
            self.exceeded = which
            self.disarm()
            self._over()
