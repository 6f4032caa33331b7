"""Hearing of changes in a folder: inotify(7), which Python does not offer."""

from __future__ import annotations

import errno
import os
import struct

from rookery._os import features

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EVENT = struct.Struct("iIII")
_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _DELETE = 0x8, 0x40, 0x80, 0x200
_CHANGES = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _DELETE
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_MOST = 65536


class FolderGone(Exception):
    """The watched folder was removed or its file system unmounted; nothing more will come."""


def available() -> bool:
    """Whether this system has it."""
    return features.has("inotify", _probe)


def watch(folder: str) -> int:
    """A descriptor that is readable when a file in the folder was written, replaced or removed; close it yourself.

    Raises OSError: no such folder, or no watches left.
    """
    call = _library()
    fd: int = call.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise _error(folder)
    if call.inotify_add_watch(fd, os.fsencode(folder), _CHANGES) < 0:
        error = _error(folder)
        os.close(fd)
        raise error
    return fd


def names(fd: int) -> set[str] | None:
    """Which files changed since the last question; None for "too many to say". Raises FolderGone."""
    found: set[str] | None = set()
    while True:
        try:
            block = os.read(fd, _MOST)
        except BlockingIOError:
            return found
        at = 0
        while at < len(block):
            _, mask, _, length = _EVENT.unpack_from(block, at)
            at += _EVENT.size
            if mask & _IGNORED:
                raise FolderGone
            if mask & _OVERFLOW:
                found = None
            elif found is not None:
                found.add(os.fsdecode(block[at : at + length].rstrip(b"\0")))
            at += length


def _library() -> Any:
    try:
        import ctypes  # noqa: PLC0415 - 6 ms, paid only by those who need it

        library = ctypes.CDLL(None, use_errno=True)
        library.inotify_init1, library.inotify_add_watch  # noqa: B018 - asks whether they are there
    except (ImportError, AttributeError) as error:
        raise OSError(errno.ENOSYS, str(error)) from error
    return library


def _error(path: str) -> OSError:
    import ctypes  # noqa: PLC0415 - loaded already

    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)


def _probe() -> bool:
    os.close(watch("/"))
    return True
