"""A lock between processes: flock on a file of its own, which a killed holder does not keep."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from typing import TYPE_CHECKING

from rookery.errors import LockTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_PAUSE, _LAST_PAUSE = 0.0005, 0.02


class _Mine(threading.local):
    depth = 0


class PathLock:
    """One holder among all threads of all processes that lock the same path. The file stays, empty.

    The thread that has it may take it again from the same object.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._mine = _Mine()

    @contextlib.contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Have it inside the ``with``. timeout: seconds. Raises LockTimeout, OSError."""
        if self._mine.depth:
            self._mine.depth += 1
            try:
                yield
            finally:
                self._mine.depth -= 1
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._take(fd, timeout)
            self._mine.depth = 1
            yield
        finally:
            self._mine.depth = 0
            fcntl.flock(fd, fcntl.LOCK_UN)  # closing alone would not, where a fork in this moment has a copy
            os.close(fd)

    def _take(self, fd: int, timeout: float) -> None:
        until = time.monotonic() + timeout
        pause = _FIRST_PAUSE
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                left = until - time.monotonic()
                if left <= 0:
                    raise LockTimeout(
                        self._path, timeout, hint=f"see who has it with: lsof {self._path}; or wait longer"
                    ) from None
                time.sleep(min(pause, left))
                pause = min(pause * 2, _LAST_PAUSE)
            else:
                return
