"""The one framing: a 4-byte big-endian length, then that many bytes.

Standard library only; the keeper and the collector speak it too.
"""

from __future__ import annotations

import struct

from rookery.errors import FrameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = struct.Struct(">I")
MAX_FRAME = 16 * 1024 * 1024
_KEPT = 2 * 1024 * 1024
_MARGIN = 64 * 1024
_SMALL = 4096
_TRUSTED = 1024 * 1024

_unpack = HEADER.unpack_from


def header(size: int, *, limit: int = MAX_FRAME) -> bytes:
    """What goes before a payload of so many bytes. Raises FrameError where that is more than limit."""
    if size > limit:
        raise FrameError(f"a message of {size} bytes is larger than the limit of {limit}")
    return HEADER.pack(size)


def frame(payload: bytes, *, limit: int = MAX_FRAME) -> bytes:
    """One frame around payload. Raises FrameError where it is larger than limit (bytes)."""
    return header(len(payload), limit=limit) + payload


class FrameReader:
    """Cuts frames out of one persistent buffer, which a socket reads into.

    limit: the largest payload taken, in bytes; size: of the buffer at first. It grows for a larger frame, and shrinks
    again. Use: read into room(), tell cut() how much came. Not safe for several threads at once.
    """

    def __init__(self, *, limit: int = MAX_FRAME, size: int = _MARGIN) -> None:
        self._limit = limit
        self._size = size
        self._view = memoryview(bytearray(size))
        self._trusted = _TRUSTED  # bytes that are allocated for an announcement; who sends large ones gets more
        self._start = 0
        self._end = 0

    def room(self) -> memoryview:
        """Where to put what arrives; never empty. The payloads of the last cut() end here."""
        start, end = self._start, self._end
        if start == end:
            self._start = self._end = 0
            if len(self._view) > _KEPT:
                self._trusted = max(self._trusted, len(self._view))
                self._view = memoryview(bytearray(self._size))
            return self._view
        wanted = HEADER.size
        if end - start >= wanted:
            wanted += min(_unpack(self._view, start)[0], self._limit)
        length = len(self._view)
        is_short = wanted >= length and length - (end - start) < self._size
        if is_short or (start and (end - start <= _SMALL or start + wanted >= length)):
            part = self._view[start:end]
            if is_short:  # an announcement alone gets little: what has come has to show that it is meant
                self._view = memoryview(bytearray(min(wanted, max(self._trusted, 2 * length)) + self._size))
            self._view[: end - start] = part
            self._start, self._end = 0, end - start
        return self._view[self._end :]

    def only(self, count: int) -> memoryview | None:
        """The payload where the count bytes that were put into room() are one whole frame and nothing waited before.

        None otherwise: then cut(count) tells. It is what most reads of small messages bring, at half the price.
        """
        if self._end or count < 4:
            return None
        size = _unpack(self._view)[0]
        return self._view[4:count] if size == count - 4 and size <= self._limit else None

    def cut(self, count: int) -> Iterator[memoryview]:
        """Take count bytes that were put into room(); give the payloads that are now whole. To be read to its end.

        The views are good until the next room(). Raises FrameError for a length above the limit, after what came
        before it: the stream cannot be trusted from there on, and nothing that follows is kept.
        """
        view, start, limit = self._view, self._start, self._limit
        end = self._end = self._end + count
        while end - start >= 4:
            size = _unpack(view, start)[0]
            first = start + 4
            if size > limit:
                self._start, self._end = start, first
                raise FrameError(f"a frame announces {size} bytes, more than the limit of {limit}")
            start = first + size
            if start > end:
                start = first - 4
                break
            yield view[first:start]
        self._start = start

    @property
    def partial(self) -> int:
        """How many bytes of a frame wait for its rest."""
        return self._end - self._start


class FrameBuffer:
    """Cuts a byte stream into payloads.

    limit: the largest payload taken, in bytes. Not safe for several threads at once.
    """

    def __init__(self, *, limit: int = MAX_FRAME) -> None:
        self._reader = FrameReader(limit=limit, size=_SMALL)

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Take what arrived; return the payloads that are now whole.

        Raises FrameError for a length above the limit: the stream cannot be trusted from there on.
        """
        whole: list[bytes] = []
        rest = memoryview(data)
        while rest:
            room = self._reader.room()
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            rest = rest[count:]
            whole += map(bytes, self._reader.cut(count))
        return whole

    @property
    def is_empty(self) -> bool:
        """Whether no part of a frame is waiting for its rest."""
        return not self._reader.partial
