"""Places in logs, known again after rotation and compression."""

from __future__ import annotations

import zlib
from typing import NamedTuple

from rookery.logs.parts import listed, open_part
from rookery.logs.tail import last_line_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.logs.rotation import Part

MARK = 64
"""Bytes by which a place is known again."""
_TRIES = 10


class Position(NamedTuple):
    """A place in one file, which neither rotation nor compression changes: (device, inode), an offset in bytes.

    mark: (length, CRC-32) of the bytes before it; written: when the file was last written to, in ns. Both are for
    positions that are kept while nobody holds the file open: its inode may be another file's by then. 0: not known.
    """

    device: int
    inode: int
    offset: int
    mark: tuple[int, int] = (0, 0)
    written: int = 0


BEGINNING = Position(0, 0, 0)
"""The beginning of the oldest file that is there."""


def end_of(path: str, *, whole: bool = True) -> Position | None:
    """The place after the last whole line of the newest file, or None where there is no file. whole: False for its end.

    Raises OSError where it may not be read.
    """
    for _ in range(_TRIES):
        part = next(iter(listed(path)), None)
        if part is None:
            break
        try:
            file = open_part(part)
        except FileNotFoundError:  # renamed meanwhile
            continue
        try:
            is_plain = whole and not file.is_packed
            return Position(*file.identity, last_line_end(file.fileno()) if is_plain else file.size())
        finally:
            file.close()
    return None


def fits(part: Part, wanted: Position) -> bool:
    """Whether a part is what the position was taken in, by the bytes before it where they are known."""
    if not part.is_packed and part.size < wanted.offset:
        return False
    length, check = wanted.mark
    if not length:
        return True
    try:
        file = open_part(part)
    except FileNotFoundError:
        return False
    try:
        before = b""
        while len(before) < length and (data := file.read(wanted.offset - length + len(before), length - len(before))):
            before += data
        return zlib.crc32(before) == check
    finally:
        file.close()
