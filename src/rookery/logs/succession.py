"""Which file of a log comes after the one that is being read, whatever was renamed, packed or removed meanwhile."""

from __future__ import annotations

import os
from typing import NamedTuple

from rookery.logs.parts import PartFile, listed, open_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from rookery.logs.rotation import Part


class Successor(NamedTuple):
    """The file that comes next, opened. parts: what there was; lost: files in between that are gone, 0 for perhaps
    some, None for none.
    """

    file: PartFile
    part: Part
    parts: list[Part]
    lost: int | None


def successor(path: str, ours: PartFile, known: Collection[tuple[int, int]]) -> Successor | None:
    """The file that came after ours; None while there is none. known: the younger files at the last look, oldest first.

    Raises OSError where it may not be read.
    """
    if not ours.is_packed and ours.identity == _identity(path):
        return None
    parts = listed(path)
    part = ours_of(parts, ours)
    if part is None:
        parts = listed(path)  # the look may have passed it while it moved
        part = ours_of(parts, ours)
    lost: int | None = None
    if part is not None:
        younger = parts[: parts.index(part)]
    else:
        if not parts or parts[0].number:
            return None  # between rename and open, or deleted: the old file may still grow
        # Rotated away for good, or begun anew: the oldest that was written to after ours.
        since = ours.mtime_ns
        younger = [one for one in parts if one.mtime_ns >= since]
        lost = _lost(younger, known)
    if not younger:
        return None
    oldest = younger[-1]
    try:
        file = open_part(oldest)
    except FileNotFoundError:
        return None
    # Numbers only grow and listed() looks at the small ones first: as this is still the file that it saw under the
    # number, no file was between it and ours. Otherwise a rotation came between; the next poll sees it whole.
    # An empty newest file says that the writer may not have moved on yet (logrotate makes it before it tells).
    if oldest.number == 0 and file.size() == 0:
        file.close()
        return None
    return Successor(file, oldest, parts, lost)


def ours_of(parts: list[Part], file: PartFile) -> Part | None:
    """An open file among the parts. An inode that we hold open is no other plain file's; of packed ones, whose inode
    is free, the youngest with it is ours.
    """
    same = [part for part in parts if part.identity == file.identity]
    plain = [part for part in same if not part.is_packed and not file.is_packed]
    packed = [part for part in same if part.is_packed]
    return next(iter(plain + packed), None)


def younger_than(ours: Part, parts: list[Part]) -> list[tuple[int, int]]:
    """The identities of the younger files, oldest first."""
    return [part.identity for part in reversed(parts) if part.number < ours.number]


def _lost(younger: list[Part], known: Collection[tuple[int, int]]) -> int | None:
    """How many files were removed unread, 0 for perhaps some, None for none."""
    there = [part.identity for part in younger]
    for number, identity in enumerate(known):
        if identity in there:
            return number or None
    if len(younger) == 1 and younger[0].number == 0:  # begun anew on purpose: what we knew of is gone
        return len(known) or None
    return 0


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
