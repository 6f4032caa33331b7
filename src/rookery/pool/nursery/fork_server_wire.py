"""Messages between a nursery and its fork-server, descriptors among them: one stream socket, either end.

A message is a tuple of what marshal knows (both ends are the same interpreter). Its descriptors travel with its first
byte; the kernel hands over those of one message at a time, so that groups of them come in the messages' order.
"""

from __future__ import annotations

import _socket  # socket itself costs 8 ms of the server's start, for names that nobody needs here
import marshal
import os
from collections import deque

from rookery._base import descriptors
from rookery._base.framing import FrameReader, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    Message: TypeAlias = tuple[tuple[Any, ...], list[int] | None]

MOST = 1 << 30
MOST_FDS = 250


def packed(message: tuple[Any, ...], fds: Sequence[int] = ()) -> bytes:
    """The message as it travels. Raises FrameError for more than 1 GiB."""
    return frame(marshal.dumps((len(fds), message)), limit=MOST)


def send(sock: _socket.socket, data: bytes | memoryview, fds: Sequence[int] = ()) -> int:
    """Send the first part of a message, and its descriptors with it; how many bytes went. Raises OSError."""
    return descriptors.send(sock, data, fds)


class Inbox:
    """What comes by a socket, cut into messages."""

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock
        self._reader = FrameReader(limit=MOST)
        self._groups: deque[list[int]] = deque()

    def take(self) -> list[Message]:
        """Read once; the messages that are whole now, each with its descriptors.

        None in their place: they did not arrive (no numbers were free here). Raises EOFError, and BlockingIOError where
        nothing has come.
        """
        count, ancillary, flags, _ = self._sock.recvmsg_into(
            [self._reader.room()], descriptors.space(MOST_FDS), _socket.MSG_DONTWAIT | descriptors.CLOEXEC
        )
        if count == 0:
            raise EOFError
        group = descriptors.received(ancillary)
        if group or flags & _socket.MSG_CTRUNC:
            self._groups.append(group)
        return [self._whole(payload) for payload in self._reader.cut(count)]

    def _whole(self, payload: memoryview) -> Message:
        count, message = marshal.loads(payload)
        fds = self._groups.popleft() if count else []
        if len(fds) != count:
            close_all(fds)
            return message, None
        return message, fds

    def close(self) -> None:
        """Close what came and was not taken; not the socket."""
        while self._groups:
            close_all(self._groups.popleft())


def close_all(fds: Sequence[int]) -> None:
    """Close them."""
    for fd in fds:
        os.close(fd)
