"""One piece of memory that a lender owns."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

from rookery.errors import SharedMemoryError
from rookery.ipc import shared_names, shared_segment
from rookery.pool.segments.mapping import Mapping

if TYPE_CHECKING:
    from collections.abc import Hashable

SMALLEST = 64 << 10
_STEPS = 8  # sizes between two powers of two


class Segment:
    """number: never used again for another segment; serial: which loan of it this is."""

    __slots__ = ("_mapping", "fd", "is_sent", "memory", "number", "receiver", "serial", "size", "unused_since")

    def __init__(self, number: int, fd: int, size: int) -> None:
        self.number = number
        self.fd = fd
        self.size = size
        self._mapping = mapping = Mapping(fd, size)
        array = mapping.array(size)
        weakref.finalize(array, _let_go, mapping).atexit = False
        self.memory = memoryview(array).cast("B")
        self.serial = 0
        self.receiver: Hashable = None
        self.is_sent = False
        self.unused_since: float | None = None

    def discard(self) -> None:
        """Close it, and free its memory also where receivers still have it mapped: none of them uses it."""
        self._mapping.discard()
        self.close()

    def close(self) -> None:
        """Let go of it; a receiver's mapping stays."""
        os.close(self.fd)
        self.fd = -1
        # Unmapped with the last reference: a copy into it may be under way in another thread.
        del self.memory, self._mapping


def rounded(need: int) -> int:
    """The size of the segment for so many bytes: steps of an eighth, so that the next message fits too."""
    step = max(1 << max(0, (need - 1).bit_length() - 1), SMALLEST) // _STEPS
    return max(-(-need // step) * step, SMALLEST)


def create(number: int, need: int) -> Segment:
    """A new segment for so many bytes, which nobody can shorten. Raises SharedMemoryError."""
    size = rounded(need)
    fd, path = shared_segment.create(size)
    try:
        if path:  # no memfd here: the file needs no name, its descriptor is sent
            shared_names.release("", (), path)
        return Segment(number, fd, size)
    except BaseException as error:
        os.close(fd)
        if isinstance(error, OSError):
            raise SharedMemoryError(f"{size} bytes cannot be mapped", why=error.strerror or "") from error
        raise


def _let_go(_mapping: Mapping) -> None:
    """Called when nothing looks into the memory any more; until then the caller's record holds the mapping."""
