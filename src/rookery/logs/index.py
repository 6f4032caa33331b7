"""The index beside a log file: when its bytes came, and whose line stands open at its end.

::

    header   "rookidx1", device and inode of the log file, offset since which the owner writes, the owner's key
    records  (wall clock in ms, offset): the bytes from that offset on came at that time or later

A record at most each 0.25 s of output. Whoever shortens the log makes the records of what is gone void: a record
counts only if no later one has a smaller offset. Losing an index loses times, never lines.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time

from rookery.logs.rotation import side

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

EVERY = 0.25
"""Seconds of output for one record."""
_MAGIC = b"rookidx1"
_HEAD = struct.Struct("<8sQQQH")
HEAD_SIZE = 256
"""Bytes before the first record."""
_MOST_KEY = HEAD_SIZE - _HEAD.size
_RECORD = struct.Struct("<QQ")
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class IndexWriter:
    """The index of one log file, made when it is first needed. Nothing here raises OSError.

    wall, clock: stand-ins for time.time and time.monotonic.
    """

    __slots__ = ("_clock", "_fd", "_identity", "_key", "_next", "_path", "_since", "_wall")

    def __init__(
        self, log_path: str, *, wall: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = side(log_path)
        self._wall = wall
        self._clock = clock
        self._fd = -1
        self._identity = (0, 0)
        self._key = ""
        self._since = 0
        self._next = 0.0

    @property
    def owner(self) -> str:
        """Who wrote last to the file, by key; "" where nobody knows."""
        return self._key

    @property
    def since(self) -> int:
        """The offset from which on the owner has written."""
        return self._since

    def attach(self, identity: tuple[int, int]) -> None:
        """Belong to the file with that (device, inode) from now on; what an index there tells of it is kept."""
        self.close()
        self._identity = identity
        self._key, self._since, self._next = "", 0, 0.0
        with contextlib.suppress(OSError):
            fd = os.open(self._path, _FLAGS)
            head = _head(fd)
            if head is None or head[0] != identity:
                os.close(fd)
                return
            self._fd = fd
            _, self._since, self._key = head
            size = os.fstat(fd).st_size
            os.lseek(fd, size - (size - HEAD_SIZE) % _RECORD.size, os.SEEK_SET)  # half a record: killed, or disk full

    def own(self, key: str, offset: int) -> None:
        """Note that the one with this key writes from offset on."""
        if key == self._key:
            return
        self._key, self._since = key, offset
        if self._fd >= 0 or self._make():
            self._write_head()

    def note(self, offset: int) -> None:
        """Note that bytes are about to go in at offset, if it is time to."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + EVERY
        if self._fd >= 0 or self._make():
            with contextlib.suppress(OSError):
                os.write(self._fd, _RECORD.pack(int(self._wall() * 1000), offset))

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1

    def _make(self) -> bool:
        try:
            # A new file in place of what is there: a reader of the old one goes on undisturbed.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            self._fd = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            return False
        self._write_head()
        with contextlib.suppress(OSError):
            os.lseek(self._fd, HEAD_SIZE, os.SEEK_SET)
        return True

    def _write_head(self) -> None:
        key = self._key.encode()[:_MOST_KEY]
        head = _HEAD.pack(_MAGIC, *self._identity, self._since, len(key)) + key
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, head.ljust(HEAD_SIZE, b"\0"), 0)


def read_index(name: str, identity: tuple[int, int] | None = None) -> list[tuple[int, int]]:
    """The (wall ms, offset) pairs of a file's index, offsets growing; empty where there is none.

    name: the log file's own, rotated or not, without ``.gz``. identity: (device, inode) of the log file; an index of
    another file is not believed.
    """
    records: list[tuple[int, int]] = []
    fd = open_index(name, identity)
    if fd < 0:
        return records
    try:
        data = os.pread(fd, os.fstat(fd).st_size, HEAD_SIZE)
    except OSError:
        return records
    finally:
        os.close(fd)
    for ms, offset in _RECORD.iter_unpack(data[: len(data) - len(data) % _RECORD.size]):
        while records and records[-1][1] >= offset:  # the file was shortened meanwhile, or nothing came in between
            records.pop()
        records.append((ms, offset))
    return records


def open_index(name: str, identity: tuple[int, int] | None = None) -> int:
    """An fd of a file's index; -1 where there is none that can be believed. See read_index."""
    fd = -1
    with contextlib.suppress(OSError):
        fd = os.open(side(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        head = _head(fd)
        if head is not None and identity in (None, head[0]):
            return fd
    if fd >= 0:
        os.close(fd)
    return -1


def _head(fd: int) -> tuple[tuple[int, int], int, str] | None:
    data = os.pread(fd, HEAD_SIZE, 0)
    if len(data) < _HEAD.size or not data.startswith(_MAGIC):
        return None
    _, device, inode, since, length = _HEAD.unpack_from(data)
    return (device, inode), since, data[_HEAD.size : _HEAD.size + length].decode("utf-8", "replace")
