"""Log files that an app writes itself (``via = "direct"``): plain files, opened for appending.

Nobody stands between the app and the disk, so they are rotated between copies only, and emptied in place.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from rookery.logs.index import IndexWriter
from rookery.logs.rotation import chain, remove_from, shift, side

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


def rotate_if_due(path: str, max_size: int, keep: int) -> None:
    """Rotate a file that has reached its size. Nobody must be writing to it. Raises OSError."""
    with suppress(FileNotFoundError):
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode) and status.st_size >= max_size:
            shift(path, keep)


def open_direct(path: str, uid: int | None, gid: int | None) -> int:
    """The file, made where it is missing, belonging to the app's user so that it may open /dev/stdout anew.

    Raises OSError, also where something else has its name.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    fd = os.open(path, _FLAGS, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{path} is no regular file")
        if uid is not None or gid is not None:
            os.fchown(fd, -1 if uid is None else uid, -1 if gid is None else gid)
        os.set_blocking(fd, True)  # non-blocking only so that the open could not hang
    except BaseException:
        os.close(fd)
        raise
    return fd


def note_beginning(path: str, writer: str) -> int:
    """Write down that a copy writes to the file from its present end on; that offset. writer: which copy."""
    status = os.stat(path)
    index = IndexWriter(path)
    index.attach((status.st_dev, status.st_ino))
    index.own(writer, status.st_size)
    index.note(status.st_size)
    index.close()
    return status.st_size


def beginning_of(path: str, writer: str) -> int:
    """Where that copy began to write, as it was written down; 0 where it was not. Never raises OSError."""
    try:
        status = os.stat(path)
    except OSError:
        return 0
    index = IndexWriter(path)
    index.attach((status.st_dev, status.st_ino))
    index.close()
    return index.since if index.owner == writer else 0


def empty_in_place(paths: list[str]) -> int:
    """Cut these files to nothing and delete what was rotated away from them; how many files it were.

    Who has them open for appending goes on at their new end. Never raises OSError.
    """
    emptied = 0
    for path in paths:
        emptied += sum(1 for _ in chain(path))
        with suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK))
        with suppress(OSError):
            os.unlink(side(path))
        remove_from(path, 1)
    return emptied
