"""The last lines of a log, read from its end."""

from __future__ import annotations

import os

from rookery.logs.parts import listed, open_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rookery.logs.parts import PartFile
    from rookery.logs.rotation import Part

BLOCK = 64 * 1024
"""Bytes per step backwards."""
MOST = 16 * 1024 * 1024
"""Bytes looked through by default."""
_TRIES = 5


def last_lines(path: str, n: int, *, max_bytes: int = MOST, until_offset: int | None = None) -> list[bytes]:
    """The last n lines of a log, oldest first, without their newlines; a missing file has none.

    Goes on into the rotated files, compressed or not, where the newest is too short; they are read as one stream.
    max_bytes: look through no more than that many; the first line may then lack its beginning. until_offset: the
    size of the newest file at which to stop, as a flush of the collector tells it.
    Raises OSError where a file is there and may not be read.
    """
    if n <= 0 or max_bytes <= 0:
        return []
    blocks: list[bytes] = []
    newlines, left = 0, max_bytes
    for block in _backwards(path, until_offset, max_bytes):
        block = block[-left:]  # noqa: PLW2901 - of the oldest block the end
        # The newline at the very end ends the last line; it does not begin another one.
        newlines += block.count(b"\n") - (not blocks and block.endswith(b"\n"))
        blocks.append(block)
        left -= len(block)
        if newlines >= n or left <= 0:
            break
    return _split(blocks, n)


def last_line_end(fd: int, *, max_bytes: int = MOST) -> int:
    """The offset just after the last newline of an open file (0: it has none): where a follower of lines begins.

    A last line of more than max_bytes counts as whole.
    """
    size = end = os.fstat(fd).st_size
    while end > max(0, size - max_bytes):
        start = max(0, end - BLOCK)
        at = os.pread(fd, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return size if end else 0


def _backwards(path: str, until_offset: int | None, most: int) -> Iterator[bytes]:
    parts, number, tries = listed(path), 0, 0
    last: Part | None = None
    while number < len(parts):
        part = parts[number]
        try:
            file = open_part(part)
        except FileNotFoundError:
            # Renamed or packed meanwhile: what was read last has another number now, but the same identity.
            tries += 1
            parts = listed(path) if tries < _TRIES else []
            names = [one.identity for one in parts]
            if last is not None:
                number = names.index(last.identity) + 1 if last.identity in names else len(parts)
            continue
        try:
            yield from (
                _packed_end(file, most) if part.is_packed else _plain(file, None if part.number else until_offset)
            )
        finally:
            file.close()
        last, tries = part, 0
        number += 1


def _plain(file: PartFile, until: int | None) -> Iterator[bytes]:
    end = file.size() if until is None else min(file.size(), until)
    while end > 0:
        start = max(0, end - BLOCK)
        block = file.read(start, end - start)
        if len(block) == end - start:  # else shortened by somebody meanwhile
            yield block
        end = start


def _packed_end(file: PartFile, most: int) -> Iterator[bytes]:
    """All of it has to be gone through; so much of it is kept."""
    blocks: list[bytes] = []
    offset = held = 0
    while block := file.read(offset, BLOCK):
        offset += len(block)
        held += len(block)
        blocks.append(block)
        while held - len(blocks[0]) >= most:
            held -= len(blocks.pop(0))
    yield from reversed(blocks)


def _split(blocks: list[bytes], n: int) -> list[bytes]:
    data = b"".join(reversed(blocks))
    return data.removesuffix(b"\n").split(b"\n")[-n:] if data else []
