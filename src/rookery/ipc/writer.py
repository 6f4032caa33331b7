"""The writing half of a channel: small messages go out together, and whoever writes too fast waits."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from rookery.errors import Disconnected
from rookery.ipc.arrived import again
from rookery.ipc.outbox import LARGE, Outbox
from rookery.ipc.ports import close_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.errors import LinkError
    from rookery.ipc.ports import Port

TOGETHER = 64 * 1024
"""Bytes that are written at once; fewer go at the end of the loop's turn."""
FULL = 256 * 1024
"""Bytes that may wait; a sender who finds more waits for room."""
_ROOM = FULL // 4


class Writer:
    """Belongs to one event loop. is_broken: whether the other side had left before it was given everything."""

    is_broken = False

    def __init__(self, port: Port, loop: asyncio.AbstractEventLoop, *, limit: int, is_lines: bool) -> None:
        self._port = port
        self._loop = loop
        self._outbox = Outbox(limit=limit, is_lines=is_lines)
        self._senders: deque[asyncio.Future[None]] = deque()
        self._drained: list[asyncio.Future[None]] = []
        self._is_due = False
        self._is_blocked = False  # the port takes no more just now
        self._is_eager = False
        self.must_wait = False
        self.error: LinkError | None = None

    @property
    def is_full(self) -> bool:
        """Whether a sender has to wait."""
        return self._outbox.size >= FULL

    async def wait_for_room(self) -> None:
        """Return when there is room for a payload, which is to be put at once. Raises LinkError."""
        while self.error is None and self.is_full:
            future: asyncio.Future[None] = self._loop.create_future()
            self._senders.append(future)
            try:
                await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled():  # woken and cancelled at once: the turn goes on
                    self._wake()
                raise
        if self.error is not None:
            self._wake()
            raise again(self.error)

    def put(self, payload: bytes, own: Sequence[int] = (), fds: Sequence[int] = ()) -> bool:
        """Take a payload at once; whether so much was written that others should have a turn.

        With it go own descriptors, which are taken over whatever happens, and copies of fds. Nothing happens on a
        broken link. Raises UsageError where it is too large, OSError where fds cannot be copied.
        """
        if own or fds:
            size = self._put_with(payload, list(own), fds)
        elif self.error is not None:
            return False
        elif self._is_eager and not self._outbox.size and len(payload) < LARGE:
            self._write_through(payload)
            return False
        else:
            size = self._outbox.add(payload)
        if self._is_blocked:
            self.must_wait = size >= FULL
        elif self._is_eager or size >= TOGETHER:
            self._is_eager = False
            self.flush()
            return size >= TOGETHER
        elif not self._is_due:
            self._soon()
        if self._senders:
            self._wake()
        return False

    def _write_through(self, payload: bytes) -> None:
        """Write it without a stop in the outbox, which is empty; what the port does not take goes there."""
        data = self._outbox.framed(payload)
        self._is_eager = False
        try:
            sent = self._port.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._broken(error)
            return
        if sent < len(data):
            self._outbox.add_raw(data[sent:])
            self.flush()

    def hurry(self) -> None:
        """Whoever sends now waits for an answer: write what there is, and the next payload at once."""
        if self._outbox.size:
            self.flush()
        self._is_eager = True

    def post_raw(self, data: bytes) -> None:
        """Take framed bytes at once; they are dropped where too much waits already."""
        if self.error is None and not self.is_full:
            self._outbox.add_raw(data)
            self._soon()

    def flush(self) -> None:
        """Write now what the port takes."""
        if self._is_blocked or self.error is not None:
            return
        try:
            self._outbox.write(self._port)
        except (BlockingIOError, InterruptedError):
            self._is_blocked = True
            self.must_wait = self.is_full
            self._loop.add_writer(self._port.writing, self._writable)
        except OSError as error:
            self._broken(error)

    async def drain(self) -> None:
        """Return when everything is written, or the link is broken."""
        self.flush()
        while self._outbox.size and self.error is None:
            future: asyncio.Future[None] = self._loop.create_future()
            self._drained.append(future)
            await future

    def fail(self, error: LinkError) -> None:
        """Nothing can be written from now on; whoever waits is told."""
        if self.error is not None:
            return
        self.is_broken = self.is_broken or self._outbox.size > 0
        self.error = error
        self.must_wait = True
        if self._is_blocked:
            self._loop.remove_writer(self._port.writing)
        self._outbox.clear()
        self._is_blocked = False
        self._wake()
        self._say_drained()

    def _broken(self, error: OSError) -> None:
        self.is_broken = True
        self.fail(Disconnected("the other side does not listen any more", why=error.strerror or str(error)))

    def _soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._flush_due)

    def _flush_due(self) -> None:
        self._is_due = False
        self.flush()

    def _writable(self) -> None:
        self._is_blocked = False
        self._loop.remove_writer(self._port.writing)
        self.flush()
        if self._outbox.size <= _ROOM and self.error is None:
            self.must_wait = False
            self._wake()
        if not self._outbox.size:
            self._say_drained()

    def _put_with(self, payload: bytes, own: list[int], fds: Sequence[int]) -> int:
        if self.error is None:
            return self._outbox.add_with(payload, own, fds)
        close_all(own)
        return 0

    def _wake(self) -> None:
        """Wake the first sender; it wakes the next while there is room."""
        if self.error is None and self.is_full:
            return
        while self._senders:
            future = self._senders.popleft()
            if not future.done():
                future.set_result(None)
                return

    def _say_drained(self) -> None:
        for future in self._drained:
            if not future.done():
                future.set_result(None)
        self._drained.clear()
