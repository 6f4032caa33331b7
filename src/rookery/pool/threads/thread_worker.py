"""One thread with a channel, for work that talks: a parser, a device, a library that wants a thread of its own."""

from __future__ import annotations

import itertools
import weakref
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

from rookery.errors import ChannelTimeout, Disconnected, UsageError
from rookery.pool.threads import registry as thread_registry
from rookery.pool.threads.channel import Passing
from rookery.pool.threads.lane import Dreamer
from rookery.pool.threads.run import Run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType
    from typing import Self

_numbers = itertools.count(1)


class ThreadWorker:
    """``function(channel)`` or ``function(channel, data)`` in a thread, which starts at once; a coroutine function gets
    an event loop of its own, and an asyncio channel.

    name: of the thread. copy: hand messages and data over as copies (pickled); else they are the very same objects on
    both sides, and both must not change them at once. max_queue: messages each way that may wait unread, then whoever
    sends waits. The context variables of the caller are seen in the thread.

    ``with`` and ``async with`` disconnect at their end and wait for the thread; what it raised is raised there, unless
    the owner has met it before. Safe for several threads and loops; one that is forgotten is disconnected. Raises
    UsageError.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        data: Any = None,
        name: str = "",
        copy: bool = False,
        max_queue: int = 1024,
    ) -> None:
        if not callable(function):
            raise UsageError(f"a thread runs a function, not {function!r}")
        if max_queue < 1:
            raise UsageError("max_queue must be at least 1")
        self.name = name or f"rookery-thread-{next(_numbers)}"
        self._passing = Passing(copy=copy)
        own = self._passing.unpack(self._passing.pack(data))
        self._run = Run(function, own, name=self.name, limit=max_queue, passing=self._passing)
        self._run.start()
        weakref.finalize(self, _forgotten, self._run).atexit = False

    def __repr__(self) -> str:
        return f"<ThreadWorker {self.name!r} {'running' if self.is_running else 'ended'}>"

    @property
    def is_running(self) -> bool:
        """Whether the function has not ended."""
        return self._run.is_running

    @property
    def connected(self) -> bool:
        """Whether messages can be sent."""
        return self._run.inward.is_open

    # -- asyncio ------------------------------------------------------------------------------------------------------

    async def send(self, message: Any) -> None:
        """Send a message; waits while the thread has too many unread. Cancelled: it was not sent.

        Raises Disconnected, UsageError for what cannot be copied, and what the thread ended with.
        """
        await self._run.inward.put_async(self._passing.pack(message))

    async def receive(self) -> Any:
        """The next message. Cancelled: none is lost. Raises Disconnected after the last, or what ended the thread."""
        return self._passing.unpack(await self._run.outward.get_async())

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Messages until the thread has ended. Raises what ended it."""
        while True:
            try:
                message = await self.receive()
            except Disconnected:
                self._raise_its_error()
                return
            yield message

    async def wait(self) -> Any:
        """What the function returns, once it has. Cancelled: the thread goes on. Raises what it raised.

        A thread that sends more than max_queue messages waits for somebody to receive them.
        """
        await self._ended()
        return self._outcome()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run.leave()
        await self._ended()
        self._run.thread.join()
        self._left(error)

    # -- blocking -----------------------------------------------------------------------------------------------------

    def send_sync(self, message: Any, *, timeout: float | None = None) -> None:
        """The same for a caller that blocks. timeout: seconds. Raises ChannelTimeout too."""
        self._run.inward.put(self._passing.pack(message), timeout)

    def receive_sync(self, *, timeout: float | None = None) -> Any:
        """The same for a caller that blocks. timeout: seconds. Raises ChannelTimeout too."""
        return self._passing.unpack(self._run.outward.get(timeout))

    def __iter__(self) -> Iterator[Any]:
        """Messages until the thread has ended, for a caller that blocks. Raises what ended it."""
        while True:
            try:
                message = self.receive_sync()
            except Disconnected:
                self._raise_its_error()
                return
            yield message

    def wait_sync(self, *, timeout: float | None = None) -> Any:
        """The same for a caller that blocks. timeout: seconds. Raises ChannelTimeout too."""
        done, _ = wait([self._run.outcome], timeout)
        if not done:
            raise ChannelTimeout(f"{self.name} has not ended", timeout or 0.0)
        return self._outcome()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run.at_exit()
        self._left(error)

    # -- the end ------------------------------------------------------------------------------------------------------

    def disconnect(self) -> None:
        """Send no more: the thread gets what was sent by now, then Disconnected. What it says can still be received."""
        self._run.disconnect()

    async def _ended(self) -> None:
        dreamer = Dreamer()
        self._run.outcome.add_done_callback(lambda _: dreamer.wake())
        await dreamer.future

    def _outcome(self) -> Any:
        self._run.is_seen = True
        return self._run.outcome.result()

    def _raise_its_error(self) -> None:
        """A Disconnected may be how the thread itself ended: of something else than its owner."""
        if self._run.error is not None:
            self._run.is_seen = True
            raise self._run.error

    def _left(self, error: BaseException | None) -> None:
        if error is None and not self._run.is_seen:
            self._raise_its_error()
        self._run.tell()


def _forgotten(run: Run) -> None:
    thread_registry.later(run.forgotten)
