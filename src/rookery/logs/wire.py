"""One client of the collector: frames of JSON in, with fds beside them; frames of JSON out."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct

from rookery._base import descriptors
from rookery._base.framing import FrameBuffer, frame
from rookery.errors import FrameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RECEIVE = 64 * 1024
_MOST_FDS = 253  # SCM_MAX_FD: the kernel passes no more in one message
_MOST_UNSENT = 16 * 1024 * 1024


class Client:
    """A connected socket, taken over. Nothing here waits."""

    __slots__ = ("_fds", "_frames", "_truncated", "_unsent", "connection")

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self._frames = FrameBuffer()
        self._fds: list[int] = []
        self._truncated = False
        self._unsent = bytearray()

    @property
    def has_unsent(self) -> bool:
        """Whether an answer waits for room in the socket."""
        return bool(self._unsent)

    def receive(self) -> list[tuple[dict[str, Any], list[int]]]:
        """The requests that are whole now, each with its fds, which the caller owns.

        Raises EOFError when the client has gone, FrameError for what is no request; close() is all that helps then.
        """
        try:
            data, fds, were_lost = descriptors.receive(self.connection, _RECEIVE, _MOST_FDS)
        except BlockingIOError:
            return []
        except OSError as error:
            raise EOFError from error
        self._fds += fds
        # No room for more fds here (EMFILE): the kernel has thrown some away, whose they were cannot be told.
        self._truncated = self._truncated or were_lost
        if not data:
            raise EOFError
        if self._truncated:
            raise FrameError("fds were lost on the way; the limit of open files is reached")
        return [self._with_fds(payload) for payload in self._frames.feed(data)]

    def reply(self, message: dict[str, Any]) -> None:
        """Send an answer, now or when there is room. Raises EOFError when the client has gone or never reads."""
        self._unsent += frame(json.dumps(message).encode())
        self.send_unsent()
        if len(self._unsent) > _MOST_UNSENT:
            raise EOFError

    def send_unsent(self) -> None:
        """Send what there is room for. Raises EOFError when the client has gone."""
        try:
            while self._unsent:
                del self._unsent[: self.connection.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError as error:
            raise EOFError from error

    def close(self, *, linger: float = 0.0) -> None:
        """Close the socket and the fds that nobody took; linger: seconds to get the last answers out."""
        if linger and self._unsent:
            self.connection.settimeout(linger)
            with contextlib.suppress(OSError):  # it did not wait for its answer
                self.connection.sendall(self._unsent)
        self.connection.close()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()

    def _with_fds(self, payload: bytes) -> tuple[dict[str, Any], list[int]]:
        try:
            message = json.loads(payload)
        except ValueError as error:
            raise FrameError("a frame holds no JSON") from error
        if not isinstance(message, dict):
            raise FrameError("a request is a JSON object")
        count = message.get("fds", 0)
        if not isinstance(count, int) or not 0 <= count <= len(self._fds):
            raise FrameError(f"{count!r} fds were announced, {len(self._fds)} came")
        fds, self._fds = self._fds[:count], self._fds[count:]
        return message, fds


def is_trusted(connection: socket.socket) -> bool:
    """Whether the peer is root or this process's own user; True where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return uid in (0, os.geteuid())
