"""The two kinds of future that a pool hands out: one for threads, one for an event loop.

Both know their task, so that cancelling one takes the task back. A plain concurrent.futures.Future spends most of its
cost on a condition that most futures never need: here it is made when somebody waits or adds a callback.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from concurrent.futures._base import FINISHED, PENDING
from typing import Any, Protocol, TypeVar

from rookery.pool.processes.interrupts import NoInterrupts

T = TypeVar("T")

_BIRTH = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_BIRTH._at_fork_reinit)  # type: ignore[attr-defined]  # noqa: SLF001 - another thread may have held it
"""Held while a future gets its condition, or its result without one: which of them comes first is never in doubt."""


class Canceller(Protocol):
    """Whom a future tells that nobody wants its result any more."""

    def withdraw(self, task: Any, *, running: bool) -> bool:
        """Whether the task was not done and will not be; then the future is the caller's to settle.

        running: also where it has begun, and is ended for it.
        """
        ...

    def is_running(self, task: Any) -> bool:
        """Whether a worker is at it now."""
        ...


class PoolFuture(Future[T]):
    """The result of a task to be; a concurrent.futures.Future. Thread-safe."""

    home = None
    """No loop is its own: it may be settled in any thread."""
    # Lists from the birth of the condition on, under which the base uses them.
    _waiters: Any = ()
    _done_callbacks: Any = ()

    def __init__(self, pool: Canceller) -> None:
        # In place of the base's: everything but the condition.
        self._state = PENDING
        self._result: Any = None
        self._exception: BaseException | None = None
        self._lazy: threading.Condition | None = None
        self._pool = pool
        self.task: Any = None

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]
        condition = self._lazy
        if condition is None:
            with _BIRTH:
                condition = self._lazy
                if condition is None:
                    self._waiters, self._done_callbacks = [], []
                    condition = self._lazy = threading.Condition()
        return condition

    @property
    def is_quiet(self) -> bool:
        """Whether nobody waits for it or has added a callback, so that settling it runs no code of others."""
        return self._lazy is None

    def result(self, timeout: float | None = None) -> T:
        """The task's result; waits up to timeout seconds (None: for ever).

        Raises what the task raised, TimeoutError, CancelledError, and WorkerDied or TaskTimeout where it was ended.
        """
        if self._state == FINISHED and self._exception is None:
            return self._result  # type: ignore[no-any-return]
        return super().result(timeout)

    def running(self) -> bool:
        """Whether a worker is at it now."""
        task = self.task
        return self._state == PENDING and task is not None and self._pool.is_running(task)

    def cancel(self, *, running: bool = False) -> bool:
        """Take the task back where it has not begun; return whether it is cancelled.

        running: end it also where it has begun (its worker is killed and replaced).
        """
        with NoInterrupts():
            task = self.task
            if task is None or not self._pool.withdraw(task, running=running):
                return self.cancelled()
            self.settle_cancelled()
            return True

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Give it its result; for the pool, which does so once."""
        with _BIRTH:
            is_quiet = self._lazy is None
            self.task = None  # which holds what it was given
            if is_quiet:
                self._result, self._exception = value, error
                self._state = FINISHED
        if not is_quiet:
            if error is not None:
                self.set_exception(error)
            else:
                self.set_result(value)

    def settle_cancelled(self) -> None:
        """It will not be done; for the pool."""
        super().cancel()
        self.set_running_or_notify_cancel()


class LoopFuture(asyncio.Future[T]):
    """The result of a task to be, for its event loop; cancelling it ends the task also where it runs."""

    # No dict for each, and no constructor of Python's own: who makes it sets them, and there may be very many.
    __slots__ = ("home", "pool", "task")

    pool: Canceller
    home: asyncio.AbstractEventLoop
    task: Any

    def cancel(self, msg: Any | None = None) -> bool:
        """See asyncio.Future. A worker in the middle of the task is killed and replaced."""
        task = self.task
        if not super().cancel(msg):
            return False
        if task is not None:
            self.pool.withdraw(task, running=True)
        return True

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Give it its result, in its loop; for the pool."""
        self.task = None
        if self.done():
            return
        if error is None:
            self.set_result(value)
            return
        if isinstance(error, StopIteration):  # which no future of asyncio takes
            wrapped = RuntimeError("the task raised StopIteration")
            wrapped.__cause__ = error
            error = wrapped
        self.set_exception(error)

    def settle_cancelled(self) -> None:
        """It will not be done; for the pool."""
        super().cancel()
