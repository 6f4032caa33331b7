"""When the lines of one file came: its index, read by blocks, however long it is."""

from __future__ import annotations

import os
import sys
from array import array
from bisect import bisect_right
from itertools import pairwise

from rookery.logs.index import EVERY, HEAD_SIZE, open_index

RECORD = 16
BLOCK = 1024
"""Records per block; about as many are in memory."""
SLACK = int(EVERY * 1000)
"""Milliseconds by which the lines after a record may be younger than it."""
_NONE = 1 << 63


class Times:
    """The times of one file. Its index may grow meanwhile; one that is missing or of another file knows nothing.

    name: the log file's own, without ``.gz``; identity: its (device, inode). Nothing here raises OSError.
    """

    __slots__ = ("_above", "_blocks", "_count", "_fd", "_last", "_ms", "_offsets")

    def __init__(self, name: str, identity: tuple[int, int]) -> None:
        self._fd = open_index(name, identity)
        self._forget()

    def __bool__(self) -> bool:
        """Whether there is an index at all."""
        return self._fd >= 0

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def is_replaced(self) -> bool:
        """Whether the file was unlinked: the writer may have begun another one."""
        try:
            return self._fd < 0 or os.fstat(self._fd).st_nlink == 0
        except OSError:
            return True

    def at(self, offset: int) -> tuple[int | None, int | None]:
        """The wall ms when the byte there came (None: before the first record), and where the next record begins."""
        self._grow()
        if not self._seek(offset):
            begin = self._lowest()[1]
            return None, None if begin == _NONE else begin
        at = bisect_right(self._offsets, offset)
        following = self._offsets[at] if at < len(self._offsets) else self._above[self._last]
        return self._ms[at - 1], None if following == _NONE else following

    def first(self) -> int | None:
        """The wall ms of the first record."""
        self._grow()
        return self._lowest()[0]

    def since(self, ms: int) -> int | None:
        """The offset from which on lines may have come at ms or later; None: all are older."""
        self._grow()
        found = None
        for number in range(self._blocks - 1, -1, -1):
            self._load(number)
            late = [offset for at, offset in zip(self._ms, self._offsets, strict=True) if at + SLACK > ms]
            if late:
                found = late[0]
            elif self._ms:
                break  # a clock that was set back a little may hide a few, hardly a block of them
        return found

    def after(self, ms: int) -> int | None:
        """The offset from which on all lines came later than ms; None: there are none such."""
        self._grow()
        found = None
        for number in range(self._blocks - 1, -1, -1):
            self._load(number)
            for at, offset in zip(reversed(self._ms), reversed(self._offsets), strict=True):
                if at <= ms:
                    return found
                found = offset
        return found

    def _forget(self) -> None:
        self._count = self._blocks = 0
        # Offset from which on what comes later is told by younger blocks, per block; the last block's is endless.
        self._above: list[int] = []
        self._last = -1
        self._ms: array[int] = array("Q")
        self._offsets: array[int] = array("Q")

    def _grow(self) -> None:
        """Take in what was written since the last look."""
        if self._fd < 0:
            return
        try:
            count = (os.fstat(self._fd).st_size - HEAD_SIZE) // RECORD
        except OSError:
            return
        if count == self._count:
            return
        is_at_end = self._count and self._last == self._blocks - 1 and count - self._count <= BLOCK
        if is_at_end and count > self._count and -(-count // BLOCK) == self._blocks:
            ms, offsets = self._read(self._count, count)
            previous = self._offsets[-1] if self._offsets else -1
            if offsets and offsets[0] > previous and _grows(offsets):
                self._ms += ms
                self._offsets += offsets
                self._count = count
                return
        self._forget()
        self._count = max(0, count)
        self._blocks = -(-self._count // BLOCK)
        self._above = [-1] * self._blocks
        if self._blocks:
            self._above[-1] = _NONE
            self._load(self._blocks - 1)

    def _seek(self, offset: int) -> bool:
        """Have the block loaded whose records tell of the offset; False: it lies before the first record."""
        if not self._blocks:
            return False
        if self._offsets and self._offsets[0] <= offset < self._above[self._last]:
            return True
        # To the right by what is known, then to the left until a block begins at or before the offset.
        number = self._blocks - 1
        while number > 0 and self._above[number - 1] > offset >= 0:
            number -= 1
        while True:
            self._load(number)
            if self._offsets and self._offsets[0] <= offset:
                return True
            if number == 0:
                return False
            number -= 1

    def _lowest(self) -> tuple[int | None, int]:
        """Time and offset of the first record that counts."""
        self._seek(-1)
        for number in range(self._blocks):
            self._load(number)
            if self._ms:
                return self._ms[0], self._offsets[0]
        return None, _NONE

    def _load(self, number: int) -> None:
        """Load one block; all younger ones were loaded before. A record counts if no later one is at or before it."""
        if number == self._last:
            return
        ms, offsets = self._read(number * BLOCK, min(self._count, (number + 1) * BLOCK))
        above = self._above[number]
        if not _grows(offsets) or (offsets and offsets[-1] >= above):
            valid: list[tuple[int, int]] = []
            least = above
            for at, offset in zip(reversed(ms), reversed(offsets), strict=True):
                if offset < least:
                    valid.append((at, offset))
                    least = offset
            valid.reverse()
            ms = array("Q", [at for at, _ in valid])
            offsets = array("Q", [offset for _, offset in valid])
        self._ms, self._offsets, self._last = ms, offsets, number
        if number:
            self._above[number - 1] = offsets[0] if offsets else above

    def _read(self, start: int, stop: int) -> tuple[array[int], array[int]]:
        try:
            data = os.pread(self._fd, (stop - start) * RECORD, HEAD_SIZE + start * RECORD)
        except OSError:
            data = b""
        both = array("Q", data[: len(data) // RECORD * RECORD])
        if sys.byteorder == "big":
            both.byteswap()
        return both[::2], both[1::2]


def _grows(offsets: array[int]) -> bool:
    return all(before < after for before, after in pairwise(offsets))
