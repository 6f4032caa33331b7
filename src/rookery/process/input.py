"""Writing to a child's stdin, with back-pressure."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from rookery._os.pipe_size import CAPACITY, grow
from rookery.errors import InputClosed

if TYPE_CHECKING:
    import asyncio

_END_OF_TERMINAL = b"\x04"


class InputStream:
    """A child's stdin. write() waits while more than a pipe's worth is on its way.

    Closing it says "that was all". Where the child does not read any more InputClosed is raised. One event loop.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, fd: int, *, encoding: str | None, errors: str, is_terminal: bool = False
    ) -> None:
        self._loop = loop
        self._fd = fd
        self._encoding = encoding or "utf-8"
        self._errors = "strict" if errors in ("replace", "ignore") else errors
        self._is_terminal = is_terminal
        self._waiting: deque[memoryview] = deque()
        self._held = 0
        self._is_closing = False
        self._broke = False
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._is_closing or self._fd < 0

    async def write(self, data: bytes | bytearray | memoryview | str) -> None:
        """Write all of it; waits until no more than 64 KiB is still on its way.

        Text is encoded as the child's output is decoded. Raises InputClosed. Cancelled, all of it is written
        nevertheless.
        """
        self.send(data)
        while self._held > CAPACITY and self._fd >= 0:
            await self._changed()
        self._check_unbroken()

    async def drain(self) -> None:
        """Wait until everything is in the pipe. Raises InputClosed."""
        while self._held and self._fd >= 0:
            await self._changed()
        self._check_unbroken()

    def send(self, data: bytes | bytearray | memoryview | str) -> None:
        """Write without waiting: what the pipe does not take is kept. Raises InputClosed."""
        if self.is_closed:
            raise InputClosed("the child's stdin is closed")
        block = memoryview(data.encode(self._encoding, self._errors) if isinstance(data, str) else data).cast("B")
        if not self._waiting:
            block = block[self._put(block) :]
        if block and self._fd >= 0:
            if not self._waiting:
                if len(block) > CAPACITY:
                    grow(self._fd)
                self._loop.add_writer(self._fd, self._ready)
            self._waiting.append(block if isinstance(data, bytes | str) else memoryview(bytes(block)))
            self._held += len(block)

    def close(self) -> None:
        """Write what is kept, then close: the child reads to the end."""
        self._is_closing = True
        if not self._waiting:
            if self._is_terminal and self._fd >= 0:
                self._put(memoryview(_END_OF_TERMINAL))
            self._let_go()

    def abandon(self) -> None:
        """Close at once; what is kept is lost. The child has ended."""
        self._is_closing = True
        if self._held:
            self._broke = True
        self._let_go()

    def _put(self, block: memoryview) -> int:
        try:
            return os.write(self._fd, block)
        except BlockingIOError:
            return 0
        except OSError:  # EPIPE, or the terminal is gone
            self._broke = True
            self._let_go()
            return 0

    def _ready(self) -> None:
        while self._waiting:
            block = self._waiting[0]
            count = self._put(block)
            if self._fd < 0:
                return
            self._held -= count
            if count < len(block):
                self._waiting[0] = block[count:]
                break
            self._waiting.popleft()
        if not self._waiting:
            self._loop.remove_writer(self._fd)
            if self._is_closing:
                self.close()
        if self._held <= CAPACITY:
            self._wake()

    def _let_go(self) -> None:
        if self._fd >= 0:
            if self._waiting:
                self._loop.remove_writer(self._fd)
            self._waiting.clear()
            os.close(self._fd)
            self._fd = -1
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _changed(self) -> None:
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def _check_unbroken(self) -> None:
        if self._broke:
            raise InputClosed("the child does not read its stdin any more")
