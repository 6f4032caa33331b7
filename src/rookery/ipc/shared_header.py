"""The first page of a shared segment: who may use it and how, its lock, and the words on which waiters sleep.

::

    0     what it is: version, kind of lock, C library, pid namespace, key, element code, shape
    128   the mutex
    256   WORDS counters; an element's waiters sleep on the one of its index
    4096  the elements
"""

from __future__ import annotations

import os
import struct
import sys
from typing import TYPE_CHECKING, NamedTuple

from rookery._os import robust_mutex
from rookery.errors import SharedMemoryError
from rookery.ipc.shared_types import DIMENSIONS, Layout

if TYPE_CHECKING:
    from typing import Self

MAGIC = b"rookshm\0"
VERSION = 1
MUTEX_AT = 128
WORDS_AT = 256
WORDS = 64
SIZE = 4096
MUTEX, FILE = 1, 2
"""Kinds of lock."""
_FORM = struct.Struct(f"=8sII8sQ16s8sQ{DIMENSIONS}Q")


class Header(NamedTuple):
    """What the maker of a segment wrote down."""

    layout: Layout
    lock: int
    key: bytes
    library: str
    namespace: int

    @classmethod
    def new(cls, layout: Layout) -> Self:
        """For a segment that is made now, with the best lock there is."""
        lock = MUTEX if robust_mutex.available() else FILE
        return cls(layout, lock, os.urandom(16), _library(), _namespace())

    def write(self, memory: bytearray | memoryview) -> None:
        """Put it at the beginning."""
        code, shape = self.layout
        sizes = (*shape, *[0] * (DIMENSIONS - len(shape)))
        library = self.library.encode()
        _FORM.pack_into(
            memory, 0, MAGIC, VERSION, self.lock, library, self.namespace, self.key, code.encode(), len(shape), *sizes
        )

    @classmethod
    def read(cls, memory: bytes | bytearray | memoryview) -> Self:
        """Raises SharedMemoryError for what is no segment of ours, or not for this process."""
        if len(memory) < SIZE or bytes(memory[: len(MAGIC)]) != MAGIC:
            raise SharedMemoryError("this is no shared array", why="it does not begin as one")
        _, version, lock, library, namespace, key, code, dimensions, *sizes = _FORM.unpack_from(memory, 0)
        if version != VERSION:
            raise SharedMemoryError(
                f"this shared array is of version {version}", why=f"this rookery knows version {VERSION}"
            )
        name = code.rstrip(b"\0").decode("ascii", "replace")
        layout = Layout(name, tuple(sizes[:dimensions]))
        if (
            name not in tuple("?bBhHiIqQfd")
            or not 1 <= dimensions <= DIMENSIONS
            or min(layout.shape) < 1
            or lock not in (MUTEX, FILE)
            or SIZE + layout.bytes > len(memory)
        ):
            raise SharedMemoryError("this shared array is damaged", why="its first page contradicts itself")
        found = cls(layout, lock, key, library.rstrip(b"\0").decode("ascii", "replace"), namespace)
        found._check()
        return found

    def _check(self) -> None:
        if self.library != _library():
            raise SharedMemoryError(
                "this process cannot use the lock of this shared array",
                why=f"it was made with the C library {self.library}, this one is {_library()}",
            )
        if self.namespace and _namespace() and self.namespace != _namespace():
            raise SharedMemoryError(
                "this process cannot use the lock of this shared array",
                why="it was made in another pid namespace (container), where the same numbers mean other threads",
            )


def _library() -> str:
    return f"{robust_mutex.library()[:5]}{64 if sys.maxsize > 1 << 32 else 32}"


def _namespace() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0
