"""The files of a log, opened: plain or compressed, read alike at any offset of what was once written."""

from __future__ import annotations

import contextlib
import os
import zlib

from rookery.logs.rotation import Part, chain, packed_identity

_BLOCK = 64 * 1024
_ANY_GZIP = 31
_LOOKS = 3


class PartFile:
    """One open file. identity: (device, inode) that its content was written under. Forward is cheap, always.

    Not safe for several threads at once.
    """

    __slots__ = ("_at", "_fd", "_packed_at", "_unpacker", "identity", "is_packed")

    def __init__(self, fd: int, identity: tuple[int, int], *, is_packed: bool) -> None:
        self._fd = fd
        self.identity = identity
        self.is_packed = is_packed
        self._rewind()

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes at most from an offset; empty: its end. A damaged compressed file ends where it is damaged."""
        if not self.is_packed:
            return os.pread(self._fd, size, offset)
        if offset < self._at:
            self._rewind()
        while self._at < offset:
            if not self._unpack(min(_BLOCK, offset - self._at)):
                return b""
        return self._unpack(size)

    def fileno(self) -> int:
        """The fd of the file as it is on disk."""
        return self._fd

    def size(self) -> int:
        """Bytes in it now; of a compressed file all of it is read for that."""
        if not self.is_packed:
            return os.fstat(self._fd).st_size
        while self._unpack(_BLOCK):
            pass
        return self._at

    @property
    def mtime_ns(self) -> int:
        """When it was last written to."""
        return os.fstat(self._fd).st_mtime_ns

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _rewind(self) -> None:
        self._at = self._packed_at = 0
        self._unpacker = zlib.decompressobj(_ANY_GZIP)

    def _unpack(self, size: int) -> bytes:
        while True:
            packed = self._unpacker.unconsumed_tail or self._unpacker.unused_data
            if self._unpacker.eof:  # gzip files may follow one another in one file
                self._unpacker = zlib.decompressobj(_ANY_GZIP)
            if not packed:
                packed = os.pread(self._fd, _BLOCK, self._packed_at)
                self._packed_at += len(packed)
            try:
                data = self._unpacker.decompress(packed, size)
            except zlib.error:
                return b""
            self._at += len(data)
            if data or not packed:
                return data


def listed(path: str) -> list[Part]:
    """The files of a log that are there, newest first; where one seems to be missing it is looked for again."""
    parts: list[Part] = []
    for _ in range(_LOOKS):
        before, parts = parts, [_with_identity(part) for part in chain(path)]
        numbers = [part.number for part in parts]
        first = numbers[0] if numbers else 0
        # A gap is there while files are renamed or packed; one that stays is a rotation that was killed.
        if numbers == list(range(first, first + len(numbers))) or numbers == [part.number for part in before]:
            break
    return parts


def open_part(part: Part) -> PartFile:
    """Open one file of a list. Raises FileNotFoundError where its name stands for another one by now, other OSErrors
    where it may not be read.
    """
    fd = os.open(part.name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        identity = _packed(fd) if part.is_packed else _own(fd)
        if identity != part.identity:
            raise FileNotFoundError(part.name)
        return PartFile(fd, identity, is_packed=part.is_packed)
    except BaseException:
        os.close(fd)
        raise


def _with_identity(part: Part) -> Part:
    if part.identity != (0, 0):
        return part
    with contextlib.suppress(OSError):  # packed by somebody else
        status = os.stat(part.name)
        return part._replace(identity=(status.st_dev, status.st_ino))
    return part


def _packed(fd: int) -> tuple[int, int]:
    identity = packed_identity(fd)
    return _own(fd) if identity == (0, 0) else identity


def _own(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
