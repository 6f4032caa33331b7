"""The receiver of lent memory: maps it once, and notices when nothing refers to it any more."""

from __future__ import annotations

import fcntl
import importlib
import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING

from rookery.errors import FrameError, SharedMemoryError

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Sequence

    from rookery.pool.segments.mapping import Mapping

_SERIALS = 1 << 32
_GET_SEALS = getattr(fcntl, "F_GET_SEALS", None)
_SHRINK = getattr(fcntl, "F_SEAL_SHRINK", 0)
_MOST_MAPPED = 64  # mappings kept for their next use


class Borrower:
    """Takes what one Lender lends, and keeps no descriptor for it. Thread-safe.

    Views live on after close(), and after the lender's death.
    keep: bytes of address space that stay mapped for their next use; the memory itself is the lender's to free.
    """

    def __init__(self, keep: int = 1 << 30) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._mapped: dict[int, Mapping] = {}  # by number of the segment, the longest unused first
        self._released: deque[int] = deque()
        self._out: dict[int, weakref.finalize[..., ctypes.Array[ctypes.c_char]]] = {}

    def borrow(self, number: int, fd: int | None, size: int) -> memoryview:
        """The memory of a loan, writable. fd is closed in any case; it may be None if the segment is known.

        Raises FrameError where the memory is not all there or could be cut, or it is unknown and there is no fd;
        SharedMemoryError where it cannot be mapped.
        """
        with self._lock:
            mapping = self._mapped.pop(number // _SERIALS, None)
            if fd is not None:
                try:
                    if mapping is None or mapping.size < size:
                        mapping = _mapped(fd, size)
                finally:
                    os.close(fd)
            elif mapping is None or mapping.size < size:
                raise FrameError("a message lies in shared memory that never came")
            self._mapped[number // _SERIALS] = mapping
            self._shrink()
        # The last view to go takes this object along; a ctypes array has a weak reference where a memoryview has none.
        owner = mapping.array(size)
        finish = weakref.finalize(owner, self._let_go, number, mapping)
        finish.atexit = False
        self._out[number] = finish
        return memoryview(owner).cast("B")

    @staticmethod
    def take(view: memoryview, offsets: Sequence[tuple[int, int]]) -> list[memoryview]:
        """The parts of a loan. Raises FrameError where they are not within it."""
        for start, length in offsets:
            if start < 0 or length < 0 or start + length > view.nbytes:
                raise FrameError(f"a part of {length} bytes at {start} is not within {view.nbytes} bytes of memory")
        return [view[start : start + length] for start, length in offsets]

    def _let_go(self, number: int, _mapping: Mapping) -> None:
        # Runs in any thread, in the middle of anything: takes no lock.
        self._out.pop(number, None)
        self._released.append(number)

    def released(self) -> list[int]:
        """The numbers of loans of which nothing is in use any more, each told once: for Lender.give_back()."""
        if not self._released:
            return []
        numbers = []
        while True:
            try:
                numbers.append(self._released.popleft())
            except IndexError:
                return numbers

    @property
    def in_use(self) -> int:
        """How many loans something refers to."""
        return len(self._out)

    def _shrink(self) -> None:
        total = sum(mapping.size for mapping in self._mapped.values())
        while len(self._mapped) > 1 and (total > self._keep or len(self._mapped) > _MOST_MAPPED):
            total -= self._mapped.pop(next(iter(self._mapped))).size  # unmapped with the last view of it

    def close(self) -> None:
        """Unmap what nothing refers to. May come again."""
        with self._lock:
            self._mapped.clear()


def _mapped(fd: int, size: int) -> Mapping:
    length = os.fstat(fd).st_size
    if length < size or size <= 0:
        raise FrameError(f"a message announces {size} bytes of shared memory, {length} came")
    # Without the seal the lender could cut the memory under our feet, which ends a process with SIGBUS.
    if _GET_SEALS is not None and not _is_sealed(fd):
        raise FrameError("shared memory of a message could still be cut")
    try:
        mapping: Mapping = importlib.import_module("rookery.pool.segments.mapping").Mapping(fd, length)
    except OSError as error:
        raise SharedMemoryError(f"{length} bytes cannot be mapped", why=error.strerror or "") from error
    return mapping


def _is_sealed(fd: int) -> bool:
    try:
        return bool(fcntl.fcntl(fd, fcntl.F_GET_SEALS) & _SHRINK)
    except OSError:  # a file: this machine gave the lender no memfd
        return True
