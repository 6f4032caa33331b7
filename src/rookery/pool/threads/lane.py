"""One direction between two threads: a bounded queue on which blocking callers and tasks of any loop wait alike.

put -> [message, message, ...] -> get
whoever waits: a Sleeper (a thread) or a Dreamer (a task); waking says "look again", so a wake too many does no harm
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rookery.errors import ChannelTimeout

if TYPE_CHECKING:
    from collections.abc import Callable


class Waiter(Protocol):
    """Somebody who waits."""

    def wake(self) -> bool:
        """Let it go on; False where nobody is there any more."""
        ...


_W = TypeVar("_W", bound=Waiter)


class Sleeper:
    """A thread that waits."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wake(self) -> bool:
        """See Waiter."""
        self._lock.release()
        return True

    def sleep(self, deadline: float | None) -> bool:
        """Wait; False when the deadline (monotonic) is over."""
        if deadline is None:
            return self._lock.acquire()
        return self._lock.acquire(timeout=min(threading.TIMEOUT_MAX, max(0.0, deadline - time.monotonic())))


class Dreamer:
    """A task that waits."""

    __slots__ = ("_loop", "future")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> bool:
        """See Waiter."""
        try:
            self._loop.call_soon_threadsafe(self._woken)
        except RuntimeError:  # the loop was closed
            return False
        return True

    def _woken(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class Lane:
    """limit: messages that may wait. Safe for any number of threads and loops."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._messages: deque[Any] = deque()
        self._senders: deque[Waiter] = deque()
        self._receivers: deque[Waiter] = deque()
        self._make_error: Callable[[], BaseException] | None = None

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def is_open(self) -> bool:
        """Whether something can be put in."""
        return self._make_error is None

    def put(self, message: Any, timeout: float | None) -> None:
        """Put it in; waits while the lane is full. Raises ChannelTimeout, and what the lane was closed with."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (sleeper := self._try_put(message, Sleeper)) is not None:
            try:
                if sleeper.sleep(deadline):
                    continue
            except BaseException:  # such as KeyboardInterrupt
                self._leave(self._senders, sleeper)
                raise
            self._leave(self._senders, sleeper)
            raise ChannelTimeout("the message was not taken", timeout or 0.0, hint="the other side does not receive")

    async def put_async(self, message: Any) -> None:
        """The same for a task. Cancelled: it was not put in."""
        while (dreamer := self._try_put(message, Dreamer)) is not None:
            try:
                await dreamer.future
            except BaseException:
                self._leave(self._senders, dreamer)
                raise

    def get(self, timeout: float | None) -> Any:
        """The next message. Raises ChannelTimeout, and what the lane was closed with once it is empty."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            found, sleeper = self._try_get(Sleeper)
            if sleeper is None:
                return found
            try:
                if sleeper.sleep(deadline):
                    continue
            except BaseException:
                self._leave(self._receivers, sleeper)
                raise
            self._leave(self._receivers, sleeper)
            raise ChannelTimeout("no message came", timeout or 0.0)

    async def get_async(self) -> Any:
        """The same for a task. Cancelled: no message is lost."""
        while True:
            found, dreamer = self._try_get(Dreamer)
            if dreamer is None:
                return found
            try:
                await dreamer.future
            except BaseException:
                self._leave(self._receivers, dreamer)
                raise

    def close(self, make_error: Callable[[], BaseException], *, drop: bool = False) -> None:
        """Nothing more is put in; what waits can still be taken, unless it is dropped. The first reason stays.

        make_error: gives what is raised for whoever comes, made anew each time.
        """
        with self._lock:
            if self._make_error is None:
                self._make_error = make_error
            dropped = list(self._messages) if drop else []
            if drop:
                self._messages.clear()
            waiters = [*self._senders, *self._receivers]
            self._senders.clear()
            self._receivers.clear()
        for waiter in waiters:
            waiter.wake()
        del dropped  # what their ends do is done without the lock

    def forget(self) -> None:
        """In a forked copy: whoever held the lock, or waits, is not here."""
        self._lock = threading.Lock()
        self._senders.clear()
        self._receivers.clear()

    def _try_put(self, message: Any, waiter: Callable[[], _W]) -> _W | None:
        with self._lock:
            if self._make_error is not None:
                raise self._make_error()
            if len(self._messages) < self._limit:
                self._messages.append(message)
                if self._receivers:
                    self._wake(self._receivers)
                return None
            made = waiter()
            self._senders.append(made)
            return made

    def _try_get(self, waiter: Callable[[], _W]) -> tuple[Any, _W | None]:
        with self._lock:
            if self._messages:
                message = self._messages.popleft()
                if self._senders:
                    self._wake(self._senders)
                return message, None
            if self._make_error is not None:
                raise self._make_error()
            made = waiter()
            self._receivers.append(made)
            return None, made

    def _leave(self, waiters: deque[Waiter], waiter: Waiter) -> None:
        """Stop waiting; who was woken and does not look hands the wake on."""
        with self._lock:
            try:
                waiters.remove(waiter)
            except ValueError:
                self._wake(waiters)

    @staticmethod
    def _wake(waiters: deque[Waiter]) -> None:
        while waiters and not waiters.popleft().wake():
            pass
