"""The end of an open file: where it is, whose it is, and whether a line stands open there."""

from __future__ import annotations

import contextlib
import os
import stat

# Not O_APPEND: splice refuses it. Not O_WRONLY: after a splice the last byte is read back. O_NONBLOCK is for whoever
# names a FIFO or a terminal as his log file.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_NEWLINE = 10


class FileEnd:
    """One open file, or none yet (fd is -1).

    size: bytes; is_regular: it is no device, pipe or terminal; identity: device and inode; changed_at: wall time of
    its last change before it was opened.
    """

    __slots__ = ("_mid_line", "changed_at", "fd", "identity", "is_regular", "size")

    def __init__(self) -> None:
        self.fd = -1
        self.size = 0
        self.is_regular = True
        self.identity = (0, 0)
        self.changed_at = 0.0
        self._mid_line: bool | None = None  # None: the last byte must be looked at

    def open(self, path: str) -> None:
        """Open the file of that name in place of the present one; made with mode 0600, its folders with 0700.

        Raises OSError, and keeps the present one then.
        """
        try:
            fd = os.open(path, _FLAGS, 0o600)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path) or ".", 0o700, exist_ok=True)
            fd = os.open(path, _FLAGS, 0o600)
        self.close()
        status = os.fstat(fd)
        self.fd = fd
        self.identity = (status.st_dev, status.st_ino)
        self.is_regular = stat.S_ISREG(status.st_mode)
        self.changed_at = status.st_mtime
        self.size = 0
        self._mid_line = None
        self.seek()

    def seek(self) -> None:
        """Go to where the end is now.

        Called before each write, in place of O_APPEND: whoever shortens the file (copytruncate) or adds to it shall
        not make us leave a hole or overwrite.
        """
        if self.is_regular and self.fd >= 0:
            size = os.lseek(self.fd, 0, os.SEEK_END)
            if size != self.size:
                self.size = size
                self._mid_line = None

    def grew(self, count: int, last: int | None) -> None:
        """So many bytes were added; last: the last of them, None if nobody has seen it."""
        self.size += count
        self._mid_line = None if last is None else last != _NEWLINE

    @property
    def mid_line(self) -> bool:
        """Whether the last byte is no newline."""
        if self._mid_line is None:
            self._mid_line = False
            if self.is_regular and self.fd >= 0 and self.size:
                with contextlib.suppress(OSError):
                    self._mid_line = os.pread(self.fd, 1, self.size - 1) != b"\n"
        return self._mid_line

    def is_named(self, path: str) -> bool:
        """Whether path still names this file."""
        try:
            status = os.lstat(path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self.identity

    def close(self) -> None:
        """Close the file, if there is one."""
        if self.fd >= 0:
            with contextlib.suppress(OSError):  # a network file system may tell of a full disk only here
                os.close(self.fd)
            self.fd = -1
