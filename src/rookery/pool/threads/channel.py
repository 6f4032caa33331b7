"""The thread's side of a ThreadWorker."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from rookery.errors import Disconnected, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from rookery.pool.threads.lane import Lane


class Passing:
    """How messages are handed over: as they are, or as copies."""

    def __init__(self, *, copy: bool) -> None:
        self._is_copy = copy

    def pack(self, message: Any) -> Any:
        """What goes into a lane. Raises UsageError for what cannot be copied."""
        if not self._is_copy:
            return message
        try:
            return pickle.dumps(message, protocol=5)
        except Exception as error:
            hint = "copy=False hands over the object itself"
            raise UsageError(
                "the message cannot be copied", why=f"{type(error).__name__}: {error}", hint=hint
            ) from error

    def unpack(self, packed: Any) -> Any:
        """What comes out of it."""
        return pickle.loads(packed) if self._is_copy else packed


class _Side:
    """data: what the owner gave."""

    def __init__(self, inward: Lane, outward: Lane, passing: Passing, data: Any) -> None:
        self._inward = inward
        self._outward = outward
        self._passing = passing
        self.data = data

    @property
    def connected(self) -> bool:
        """Whether the owner is there. What it sent before it left can still be received."""
        return self._inward.is_open

    def disconnect(self) -> None:
        """Send and receive no more; what was not received is dropped."""
        self._outward.close(lambda: Disconnected("the thread has disconnected"))
        self._inward.close(lambda: Disconnected("the thread has disconnected"), drop=True)


class ThreadChannel(_Side):
    """What a plain function gets. Its calls block; threads that the function starts may use it too."""

    def send(self, message: Any, *, timeout: float | None = None) -> None:
        """Send a message; waits while the owner has too many unread. timeout: seconds.

        Raises Disconnected, ChannelTimeout, UsageError for what cannot be copied.
        """
        self._outward.put(self._passing.pack(message), timeout)

    def receive(self, *, timeout: float | None = None) -> Any:
        """The next message. timeout: seconds. Raises Disconnected when the owner has gone, ChannelTimeout."""
        return self._passing.unpack(self._inward.get(timeout))

    def __iter__(self) -> Iterator[Any]:
        """Messages until the owner disconnects."""
        while True:
            try:
                message = self.receive()
            except Disconnected:
                return
            yield message


class AsyncThreadChannel(_Side):
    """What a coroutine function gets, which runs in an event loop of the thread's own."""

    async def send(self, message: Any) -> None:
        """See ThreadChannel.send. Cancelled: it was not sent."""
        await self._outward.put_async(self._passing.pack(message))

    async def receive(self) -> Any:
        """See ThreadChannel.receive. Cancelled: no message is lost."""
        return self._passing.unpack(await self._inward.get_async())

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Messages until the owner disconnects."""
        while True:
            try:
                message = await self.receive()
            except Disconnected:
                return
            yield message
