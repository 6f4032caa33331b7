"""A lock between processes: flock on a file of its own, which a killed holder does not keep."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import threading
import time
from typing import TYPE_CHECKING

from rookery.errors import LockTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_FIRST_PAUSE, _LAST_PAUSE = 0.0005, 0.02


class PathLock:
    """One holder among all tasks and threads of all processes that lock the same path. The file stays, empty.

    The task (outside of one: the thread) that has it may take it again from the same object.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._depths: dict[object, int] = {}  # each entry is touched by its own task or thread only

    @contextlib.contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Have it inside the ``with``. timeout: seconds. Raises LockTimeout, OSError."""
        who = _whoever()
        if who in self._depths:
            with self._deeper(who):
                yield
            return
        with self._opened() as fd:
            wait = _Wait(self._path, timeout)
            while not _taken(fd):
                time.sleep(wait.pause())
            with self._deeper(who):
                yield

    @contextlib.asynccontextmanager
    async def held_async(self, timeout: float) -> AsyncIterator[None]:  # noqa: ASYNC109 - it has its own error
        """As held(), without holding up the event loop. May be cancelled.

        No thread waits in place of the loop: a few dozen of them would leave none to the holder, who then never ends.
        """
        who = _whoever()
        if who in self._depths:
            with self._deeper(who):
                yield
            return
        with self._opened() as fd:
            wait = _Wait(self._path, timeout)
            while not _taken(fd):  # noqa: ASYNC110 - no event tells of a lock between processes
                await asyncio.sleep(wait.pause())
            with self._deeper(who):
                yield

    @contextlib.contextmanager
    def _deeper(self, who: object) -> Iterator[None]:
        self._depths[who] = self._depths.get(who, 0) + 1
        try:
            yield
        finally:
            self._depths[who] -= 1
            if not self._depths[who]:
                del self._depths[who]

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            yield fd
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)  # closing alone would not, where a fork in this moment has a copy
            os.close(fd)


class _Wait:
    """Growing pauses until the time is over."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._until = time.monotonic() + timeout
        self._pause = _FIRST_PAUSE

    def pause(self) -> float:
        """Seconds to sleep before the next try. Raises LockTimeout."""
        left = self._until - time.monotonic()
        if left <= 0:
            hint = f"see who has it with: lsof {self._path}; or wait longer"
            raise LockTimeout(self._path, self._timeout, hint=hint)
        pause = min(self._pause, left)
        self._pause = min(self._pause * 2, _LAST_PAUSE)
        return pause


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _whoever() -> object:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        task = None
    return task or threading.get_ident()
