"""What waits to be written: small messages in one growing buffer, large ones as they are, descriptors beside them."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from rookery._base.framing import HEADER
from rookery.errors import UsageError
from rookery.ipc.ports import close_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from rookery.ipc.ports import Port

_pack = HEADER.pack
LARGE = 64 * 1024
_MOST_CHUNKS = 64


class Outbox:
    """limit: the largest payload. size: bytes that wait, its owner may bound it. Descriptors are kept as copies."""

    def __init__(self, *, limit: int, is_lines: bool) -> None:
        self._limit = limit
        self._is_lines = is_lines
        self._small = bytearray()
        self._sealed: deque[tuple[bytes | bytearray | memoryview, list[int]]] = deque()
        self.size = 0

    def add(self, payload: bytes) -> int:
        """Take a payload; the bytes that wait now. Raises UsageError where it is too large."""
        size = len(payload)
        head = _pack(size) if size <= self._limit else self._refused(size)
        if self._is_lines:
            head = b""
        if size < LARGE:
            self._small += head + payload
        else:
            self._small += head
            self._seal()
            self._sealed.append((memoryview(payload), []))
        self.size += len(head) + size
        return self.size

    def framed(self, payload: bytes) -> bytes:
        """A payload as it travels. Raises UsageError where it is too large."""
        if len(payload) > self._limit:
            self._refused(len(payload))
        return payload if self._is_lines else _pack(len(payload)) + payload

    def add_raw(self, data: bytes) -> None:
        """Take bytes that are framed already."""
        self._small += data
        self.size += len(data)

    def add_with(self, payload: bytes, own: list[int], fds: Sequence[int]) -> int:
        """Take a payload with descriptors: own ones, which are taken over whatever happens, then copies of fds.

        Raises UsageError where it is too large, OSError where fds cannot be copied.
        """
        try:
            head = _pack(len(payload)) if len(payload) <= self._limit else self._refused(len(payload))
            own.extend(os.dup(fd) for fd in fds)  # the caller may close its own before the socket takes these
        except BaseException:
            close_all(own)
            raise
        self._seal()
        self._sealed.append((head + payload, own))
        self.size += len(head) + len(payload)
        return self.size

    def write(self, port: Port) -> None:
        """Write what there is room for. Raises OSError, also BlockingIOError with something left."""
        while self.size:
            if not self._sealed:
                sent = port.send(self._small)
                self.size -= sent
                if self.size:
                    del self._small[:sent]
                    continue
                self._small.clear()
                return
            if self._small:
                self._seal()
            chunks, fds = self._next()
            sent = port.write(chunks, fds)
            close_all(fds)
            self._remove(sent)

    def clear(self) -> None:
        """Forget everything."""
        for _, fds in self._sealed:
            close_all(fds)
        self._sealed.clear()
        self._small.clear()
        self.size = 0

    def _refused(self, size: int) -> NoReturn:
        raise UsageError(
            f"a message of {size} bytes is larger than the limit of {self._limit}",
            hint="send less at once, or raise max_message on both sides",
        )

    def _seal(self) -> None:
        if self._small:
            self._sealed.append((self._small, []))
            self._small = bytearray()

    def _next(self) -> tuple[list[bytes | bytearray | memoryview], list[int]]:
        """The chunks for one write, up to the next that brings descriptors; and those of the first."""
        chunks: list[bytes | bytearray | memoryview] = []
        for chunk, fds in self._sealed:
            if chunks and (fds or len(chunks) == _MOST_CHUNKS):
                break
            chunks.append(chunk)
        return chunks, self._sealed[0][1]

    def _remove(self, sent: int) -> None:
        self.size -= sent
        while sent:
            chunk, fds = self._sealed.popleft()
            if sent < len(chunk):
                self._sealed.appendleft((memoryview(chunk)[sent:], fds))
                return
            sent -= len(chunk)
