"""The lock of a shared array, for processes and threads, which a killed holder does not keep.

What an operation does, whichever lock it is::

    try:
        if lock.try_lock(lock.token):      0: we have it
            lock.settle(...)               anything else: wait for it, or mend what a killed holder left
        ...                                read and write, without a call in between
    except BaseException:
        lock.abandon()                     whatever happened, and wherever: let go if we have it
        raise
    lock.unlock(lock.token)

An interrupt (KeyboardInterrupt, a signal handler that raises) may come after any call. try_lock is one C call in which
none can come, so abandon() always finds either a held lock or one that it may leave alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from rookery._os import robust_mutex
from rookery.errors import LockTimeout, SharedMemoryError
from rookery.ipc import shared_header, shared_segment

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable

PATIENCE = 60.0
"""Seconds until an operation gives up: an operation takes a microsecond, so the holder must have been stopped."""
_TRIES = 30
"""Times to look again before sleeping: the holder on another CPU is done in less than a sleep costs."""
_ROUND = 0.1
"""Seconds between looks at signals while waiting."""


class Lock(Protocol):
    """See above. One object for each process and segment; any thread."""

    @property
    def token(self) -> Any:
        """What try_lock and unlock take."""
        ...

    @property
    def try_lock(self) -> Callable[[Any], int]:
        """0 when this thread has it now, or an error number."""
        ...

    @property
    def unlock(self) -> Callable[[Any], object]:
        """Let go of it."""
        ...

    def settle(self, result: int) -> None:
        """Have the lock after try_lock() gave this error number. Raises LockTimeout, SharedMemoryError."""
        ...

    def abandon(self) -> None:
        """Let go, if this thread has it."""
        ...


def make(kind: int, memory: mmap.mmap, fd: int, path: str) -> Lock:
    """The lock that the segment's header names. Raises SharedMemoryError where this process has no such lock."""
    if kind == shared_header.FILE:
        return FileLock(fd, path)
    if not robust_mutex.available():
        raise SharedMemoryError(
            "this process cannot use the lock of this shared array",
            why="it was made with robust mutexes, which this process has not",
        )
    return MutexLock(memory)


def initialise(kind: int, memory: mmap.mmap) -> None:
    """Make the lock in new memory that nobody else has yet. Raises SharedMemoryError."""
    if kind == shared_header.MUTEX:
        call = robust_mutex.calls()
        if wrong := call.initialise(call.cell(memory, shared_header.MUTEX_AT)):
            raise SharedMemoryError("the lock of a shared array cannot be made", why=os.strerror(wrong))


class MutexLock:
    """A robust mutex in the memory itself."""

    def __init__(self, memory: mmap.mmap) -> None:
        call = robust_mutex.calls()
        self.token = call.cell(memory, shared_header.MUTEX_AT)
        self.try_lock = call.try_lock
        self.unlock = call.unlock
        self._consistent = call.consistent
        self._lock_within = call.lock_within

    def settle(self, result: int) -> None:
        """See Lock."""
        try_lock, token = self.try_lock, self.token
        for _ in range(_TRIES):
            if result != errno.EBUSY:
                break
            result = try_lock(token)
        until = time.monotonic() + PATIENCE
        while result in (errno.EBUSY, errno.ETIMEDOUT, errno.EINTR):
            if time.monotonic() > until:
                raise LockTimeout(
                    "shared array",
                    PATIENCE,
                    hint="a process was stopped (SIGSTOP, a debugger) in an operation: continue or kill it",
                )
            result = self._lock_within(self.token, _ROUND)
        if result == errno.EOWNERDEAD:
            # Whoever was killed either had written its element (one store) or had not: there is nothing to mend.
            result = self._consistent(self.token)
        if result:
            raise SharedMemoryError("the lock of a shared array cannot be taken", why=os.strerror(result))

    def abandon(self) -> None:
        """See Lock."""
        try:
            self._consistent(self.token)  # unlocked before it is mended, it would be lost for ever
        finally:
            self.unlock(self.token)  # an error number where it is not ours


class _Own:
    """A thread's own open file description in one process: locks exclude between descriptions."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.pid = os.getpid()
        self.depth = 0

    def __del__(self) -> None:
        os.close(self.fd)


class _Local(threading.local):
    own: _Own | None = None


class FileLock:
    """A lock on the segment's file, where the C library has no robust mutex; 5 to 10 times slower.

    Each thread of each process opens the file itself: a descriptor that is inherited or passed has the same description
    on both sides, which does not exclude.
    """

    def __init__(self, fd: int, path: str) -> None:
        found = os.fstat(fd)
        self._source = fd
        self._identity = found.st_dev, found.st_ino
        self._path = path
        self._local = _Local()
        self.token = None

    def try_lock(self, token: object) -> int:  # noqa: ARG002 - as the C function
        """See Lock."""
        own = self._own()
        try:
            fcntl.flock(own.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return errno.EBUSY
        own.depth += 1
        return 0

    def settle(self, result: int) -> None:  # noqa: ARG002
        """See Lock; no limit, but interrupts come through."""
        own = self._own()
        fcntl.flock(own.fd, fcntl.LOCK_EX)
        own.depth += 1

    def unlock(self, token: object) -> None:  # noqa: ARG002
        """See Lock."""
        own = self._local.own
        if own is None or own.pid != os.getpid():
            return
        if own.depth > 1:  # of a signal handler that came in the middle of an operation
            own.depth -= 1
            return
        own.depth = 0
        fcntl.flock(own.fd, fcntl.LOCK_UN)

    def abandon(self) -> None:
        """See Lock."""
        self.unlock(None)

    def _own(self) -> _Own:
        own = self._local.own
        if own is None or own.pid != os.getpid():  # new here, or our parent's
            own = self._local.own = _Own(shared_segment.reopen(self._source, self._path, self._identity))
        return own
