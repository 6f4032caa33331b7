"""Where in a log to begin: at its last lines, or at a time. Nothing is held but a block.

What was found is a Position; a Follower goes forward from there, through all that came later.
"""

from __future__ import annotations

import zlib
from itertools import islice
from typing import NamedTuple

from rookery.logs.follow import LONGEST
from rookery.logs.parts import listed, open_part
from rookery.logs.position import MARK, Position, end_of
from rookery.logs.rotation import PACKED
from rookery.logs.tail import last_line_end
from rookery.logs.times import SLACK, Times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rookery.logs.parts import PartFile
    from rookery.logs.rotation import Part

WINDOW = 256 * 1024
"""Bytes per step backwards."""
_TRIES = 10


class Wanted(NamedTuple):
    """What of a log's history is wanted.

    lines: so many of the last, None for all; since, until: wall ms; matches: makes a function that is given lines in
    their order and tells of each whether it counts; whole: an unfinished line at the end does not count. timed: there
    may be an index that can be believed.
    """

    lines: int | None = None
    since: int | None = None
    until: int | None = None
    matches: Callable[[], Callable[[bytes], bool]] | None = None
    whole: bool = False
    timed: bool = True


class _Stretch(NamedTuple):
    """What of one file is wanted: from low to high (None: its end); is_first: nothing older is."""

    low: int
    high: int | None
    is_first: bool


def beginning(path: str, wanted: Wanted) -> Position | None:
    """The place where the wanted lines begin; the end where there are none, None where there is no file.

    A file without an index is as old as its last change says. Raises OSError where a file may not be read.
    """
    if wanted.lines == 0:
        return end_of(path)
    for _ in range(_TRIES):
        try:
            return _search(path, wanted)
        except FileNotFoundError:  # renamed or packed while we looked
            continue
    return end_of(path)


def _search(path: str, wanted: Wanted) -> Position | None:
    parts = listed(path)
    found: Position | None = None
    need = wanted.lines
    for number, part in enumerate(parts):
        file = open_part(part)
        try:
            older = parts[number + 1] if number + 1 < len(parts) else None
            stretch = _stretch(file, part, older, wanted)
            if stretch is None:
                break
            low, high = stretch.low, stretch.high
            if high is None and wanted.whole and number == 0 and not part.is_packed:
                high = last_line_end(file.fileno())
            if need is not None:
                # A compressed file was whole when it was rotated, by the collector at least.
                if need < (wanted.lines or 0) and not file.is_packed and not _ends_whole(file, high):
                    need += 1  # the line goes on in the younger file, and was counted there
                offset, count = _nth_last(file, low, high, need, wanted.matches)
                need -= count
                if offset is not None:
                    return _position(file, offset)
            found = _position(file, low)
            if stretch.is_first:
                break
        finally:
            file.close()
    return found or (end_of(path) if parts else None)


def _position(file: PartFile, offset: int) -> Position:
    mark = (0, 0)
    if offset and not file.is_packed:
        before = file.read(max(0, offset - MARK), min(MARK, offset))
        mark = len(before), zlib.crc32(before)
    return Position(*file.identity, offset, mark, file.mtime_ns)


def _stretch(file: PartFile, part: Part, older: Part | None, wanted: Wanted) -> _Stretch | None:
    """What of one file lies between since and until; None: nothing of it and of what is older."""
    if wanted.since is None and wanted.until is None:
        return _Stretch(0, None, is_first=False)
    mtime = part.mtime_ns // 1_000_000
    times = Times(part.name.removesuffix(PACKED), file.identity)
    try:
        first = times.first() if wanted.timed else None
        low, high, is_first = 0, None, False
        if wanted.since is not None:
            if first is None:
                if mtime + SLACK < wanted.since:
                    return None
            else:
                since = times.since(wanted.since)
                if since is None:
                    return None
                if first + SLACK <= wanted.since:
                    low, is_first = _line_start(file, since), True
        if wanted.until is not None:
            if first is not None:
                after = times.after(wanted.until)
                high = None if after is None else _line_start(file, after)
            elif older is not None and older.mtime_ns // 1_000_000 > wanted.until:
                high = 0
        return _Stretch(low, high, is_first)
    finally:
        times.close()


def _line_start(file: PartFile, offset: int) -> int:
    """The beginning of the first line at or after an offset."""
    if offset == 0:
        return 0
    offset -= 1
    while data := file.read(offset, WINDOW):
        at = data.find(b"\n")
        if at >= 0:
            return offset + at + 1
        offset += len(data)
    return offset


def _ends_whole(file: PartFile, high: int | None) -> bool:
    end = file.size() if high is None else high
    return end == 0 or file.read(end - 1, 1) == b"\n"


def _nth_last(
    file: PartFile, low: int, high: int | None, n: int, matches: Callable[[], Callable[[bytes], bool]] | None
) -> tuple[int | None, int]:
    """Where the n-th last line before high begins, and how many there are (n at most)."""
    if file.is_packed:  # goes forward only: counted first, then found
        count = sum(1 for _ in _starts(file, low, high, matches))
        if count < n:
            return None, count
        return next(islice(_starts(file, low, high, matches), count - n, None), low), n
    end = file.size() if high is None else min(high, file.size())
    found = 0
    while end > low:
        start = _window(file, low, end)
        if matches is None:
            count = _count(file, start, end)
            offset = None
            if found + count >= n:
                offset = next(islice(_starts(file, start, end, None), count - (n - found), None), start)
        else:
            starts = list(_starts(file, start, end, matches))
            count = len(starts)
            offset = starts[-(n - found)] if found + count >= n else None
        if offset is not None:
            return offset, n
        found += count
        end = start
    return None, found


def _window(file: PartFile, low: int, end: int) -> int:
    """The beginning of a line about a window before end; further away where a line is longer."""
    start = end
    while start > low:
        before = start
        start = max(low, start - WINDOW)
        if start == low:
            return low
        at = file.read(start, before - start).find(b"\n")
        if 0 <= at < end - start - 1:
            return start + at + 1
    return low


def _count(file: PartFile, start: int, end: int) -> int:
    """Lines between two offsets, the first of them where one begins."""
    count = 1
    while start < end:
        data = file.read(start, min(WINDOW, end - start))
        if not data:
            break
        start += len(data)
        count += data.count(b"\n") - (start == end and data.endswith(b"\n"))
    return count


def _starts(
    file: PartFile, start: int, end: int | None, matches: Callable[[], Callable[[bytes], bool]] | None
) -> Iterator[int]:
    """Where lines begin; only those that count, by their first LONGEST bytes."""
    wants = matches() if matches is not None else None
    held, is_inside = b"", False
    while end is None or start + len(held) < end:
        at = start + len(held)
        data = file.read(at, WINDOW if end is None else min(WINDOW, end - at))
        if not data:
            break
        held += data
        *lines, rest = held.split(b"\n")
        for line in lines:
            if not is_inside and (wants is None or wants(line)):
                yield start
            is_inside = False
            start += len(line) + 1
        if is_inside or len(rest) > LONGEST:  # decided by its beginning; of the rest only the end counts
            if not is_inside and (wants is None or wants(rest[:LONGEST])):
                yield start
            is_inside = True
            start += len(rest)
            rest = b""
        held = rest
    if held and not is_inside and (wants is None or wants(held)):
        yield start
