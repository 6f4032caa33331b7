"""Seeing that the other side has gone while nothing is read from it."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from rookery.ipc.ports import Port

_HAS_EPOLL = hasattr(select, "epoll")


class HangUp:
    """A channel that reads no further, because nobody takes its messages, would not see the end either.

    An epoll of its own that asks for nothing but the end does; it is made when it is first needed. What is still to be
    read then is bounded by the socket's buffer, so it is read at once. Elsewhere the end is seen when reading goes on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, port: Port, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._port = port
        self._callback = callback
        self._epoll: select.epoll | None = None
        self.has_happened = False

    def watch(self) -> None:
        """Call back when the other side goes."""
        if not _HAS_EPOLL:
            return
        if self._epoll is None:
            self._epoll = select.epoll()
            self._epoll.register(self._port.reading, select.EPOLLRDHUP)
        self._loop.add_reader(self._epoll.fileno(), self._gone)

    def ignore(self) -> None:
        """Do not, until asked again."""
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())

    def close(self) -> None:
        """Watch no more."""
        if self._epoll is not None:
            self.ignore()
            self._epoll.close()
            self._epoll = None

    def _gone(self) -> None:
        self.has_happened = True
        self._callback()
