"""The names of rotated files: NAME.1 is the newest of them, NAME.2.gz may stand for NAME.2, NAME.idx goes with NAME.

Names are built, never searched for: ``web-1.out.log`` must not touch what belongs to ``web-10.out.log``.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NamedTuple

    class Part(NamedTuple):
        """One file of a log. number: 0 is the newest; identity: (device, inode) it had when it was written.

        size: bytes as they are on disk; is_packed: it is compressed.
        """

        number: int
        name: str
        identity: tuple[int, int]
        size: int
        mtime_ns: int
        is_packed: bool = False
else:
    Part = namedtuple(  # noqa: PYI024 - typing costs the collector 14 ms
        "Part", "number name identity size mtime_ns is_packed", defaults=(False,)
    )

PACKED = ".gz"
SIDE = ".idx"
PACKING = ".packing"
"""Where a rotated file of the log becomes packed."""
_NAME_FLAG = 8
_HEADER = 10


def rotated(path: str, number: int) -> str:
    """The name of the file that was rotated away ``number`` rotations ago; 0 is the file itself."""
    return f"{path}.{number}" if number else path


def side(path: str, number: int = 0) -> str:
    """The name of the index that goes with it."""
    return rotated(path, number) + SIDE


def shift(path: str, keep: int) -> None:
    """Move path to path.1, path.1 to path.2 and so on; keep so many, delete what is older (0 deletes path too).

    Raises OSError where a rename is refused; whatever was moved until then stays moved, nothing is overwritten but
    the oldest.
    """
    if keep == 0:
        os.unlink(path)
        _forget(side(path))
    # Up to the first gap: one is left where this process was killed half-way, and must not wander up for ever. From
    # the top, so that a refusal half-way leaves a gap and never overwrites a younger file.
    top = 1
    while top < keep and _is_there(path, top):
        top += 1
    for number in range(min(top, keep) - 1, -1, -1):
        _move(path, number)
    remove_from(path, keep + 1)  # what an earlier, larger keep has left


def remove(path: str) -> None:
    """Delete a log with its index and all that was rotated, as far as that is allowed."""
    remove_from(path, 1)
    for name in (path, side(path), path + PACKING):
        _forget(name)


def remove_from(path: str, number: int) -> None:
    """Delete the rotated files from a number on, as far as that is allowed; a gap of one is passed over."""
    missing = 0
    while missing < 2:
        missing = 0 if _is_there(path, number) else missing + 1
        for name in (*_names(path, number), side(path, number)):
            _forget(name)
        if _is_there(path, number):  # refused
            return
        number += 1


def chain(path: str) -> Iterator[Part]:
    """The files of a log that are there, newest first.

    A gap of one is passed over: there is one in the middle of a rotation, and after a kill there until the next.
    """
    number = missing = 0
    while missing < 2:
        part = _part(path, number)
        if part is None:
            missing += number > 0  # path itself may well be missing
        else:
            missing = 0
            yield part
        number += 1


def packed_identity(fd: int) -> tuple[int, int]:
    """The (device, inode) that a compressed file's content was written under, told by its header; (0, 0): untold."""
    head = os.pread(fd, 128, 0)
    if len(head) > _HEADER and head[3] & _NAME_FLAG:
        device, _, inode = head[_HEADER:].split(b"\0")[0].partition(b"-")
        with contextlib.suppress(ValueError):
            return int(device), int(inode)
    return 0, 0


def packed_header(identity: tuple[int, int]) -> bytes:
    """The gzip header (RFC 1952, with a file name) of a log that was written under that (device, inode)."""
    name = f"{identity[0]}-{identity[1]}".encode()
    return struct.pack("<BBBBLBB", 0x1F, 0x8B, 8, _NAME_FLAG, 0, 0, 255) + name + b"\0"


def _names(path: str, number: int) -> tuple[str, ...]:
    name = rotated(path, number)
    return (name, name + PACKED) if number else (name,)


def _is_there(path: str, number: int) -> bool:
    return any(os.path.lexists(name) for name in _names(path, number))


def _move(path: str, number: int) -> None:
    name, after = rotated(path, number), rotated(path, number + 1)
    # The packed one appears when it is whole: a kill before the plain one was deleted leaves both.
    if number and os.path.lexists(name + PACKED):
        _forget(name)
        os.rename(name + PACKED, after + PACKED)
        _forget(after)
    else:
        try:
            os.rename(name, after)
        except FileNotFoundError:
            return
        _forget(after + PACKED)
    try:
        os.rename(name + SIDE, after + SIDE)
    except OSError:
        _forget(after + SIDE)  # it belonged to what is gone


def _part(path: str, number: int) -> Part | None:
    if not number:
        return _plain(path, 0)
    # A second look: it may have been packed between the two.
    return _packed(path, number) or _plain(path, number) or _packed(path, number)


def _plain(path: str, number: int) -> Part | None:
    name = rotated(path, number)
    try:
        status = os.stat(name)
    except OSError:
        return None
    return Part(number, name, (status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns)


def _packed(path: str, number: int) -> Part | None:
    name = rotated(path, number) + PACKED
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        identity = packed_identity(fd)
    except OSError:
        return None
    finally:
        os.close(fd)
    return Part(number, name, identity, status.st_size, status.st_mtime_ns, is_packed=True)


def _forget(name: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name)
