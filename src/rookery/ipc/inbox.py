"""Messages that nobody has received yet, and those who wait for one."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from rookery.ipc.arrived import Arrived
from rookery.ipc.ports import close_all
from rookery.ipc.waiting import Wait

if TYPE_CHECKING:
    import asyncio

MOST = 16_384
MOST_BYTES = 1024 * 1024


class Inbox:
    """Belongs to one event loop. queue holds messages, and Arrived."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._bytes = 0
        self._spare: Wait | None = None
        self.queue: deque[Any] = deque()
        self.receivers: deque[Wait] = deque()

    @property
    def has_room(self) -> bool:
        """Whether so much has been received that reading may go on."""
        return not self.queue or (len(self.queue) <= MOST // 2 and self._bytes <= MOST_BYTES)

    def came(self, size: int, before: int) -> bool:
        """Messages of so many bytes were added to a queue that had this many before; whether it is full now."""
        self._bytes = self._bytes + size if before else size
        return self._bytes > MOST_BYTES or len(self.queue) > MOST

    def halve(self) -> None:
        """Reading goes on: take it that half of what was counted is gone."""
        self._bytes = self._bytes // 2 if self.queue else 0

    def enter(self) -> Wait:
        """What to await for the next wake; then look for yourself what has happened."""
        waiting, self._spare = self._spare or Wait(self._loop), None
        self.receivers.append(waiting)
        return waiting

    def leave(self, waiting: Wait) -> None:
        """Nobody waits on this one any more, which was woken; it may be used again."""
        waiting.was_woken = False
        self._spare = waiting

    def wake(self, *, now: bool = False) -> None:
        """Wake the first who waits; he wakes the next where there is more. now: run him here; outside of any task."""
        receivers = self.receivers
        while receivers:
            if receivers.popleft().wake(now=now):
                return

    def wake_all(self) -> None:
        """The channel has ended."""
        while self.receivers:
            self.wake()

    def clear(self) -> None:
        """Drop everything, with its descriptors."""
        while self.queue:
            message = self.queue.popleft()
            if type(message) is Arrived:
                close_all(message.fds)
