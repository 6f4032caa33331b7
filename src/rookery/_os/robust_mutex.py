"""The C library's robust mutex between processes: when its holder is killed the next one gets it, and is told so.

The memory of one is a block of SIZE bytes, more than any C library needs (glibc 40 or 48, musl 40). All that share it
must use the same C library; who makes the memory writes library() beside it, and who attaches compares.
"""

from __future__ import annotations

import errno
import functools
import os
import time

from rookery._os import features

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NamedTuple

    class Calls(NamedTuple):
        """The C functions; each gives 0 or an error number. try_lock, unlock and consistent never block."""

        try_lock: Callable[[Any], int]
        unlock: Callable[[Any], int]
        consistent: Callable[[Any], int]
        lock_within: Callable[[Any, float], int]
        initialise: Callable[[Any], int]
        cell: Callable[[Any, int], Any]
else:
    from collections import namedtuple

    Calls = namedtuple("Calls", "try_lock unlock consistent lock_within initialise cell")  # noqa: PYI024

SIZE = 128
_GUARD = 64
_SHARED = 1
_ROBUST = 1
_RECURSIVE = 1


def available() -> bool:
    """Whether this C library has them (macOS has not)."""
    return features.has("robust_mutex", _probe)


def library() -> str:
    """Which C library lays out the memory."""
    try:
        name = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):  # musl does not know the question
        return "other"
    return "glibc" if name else "other"


@functools.cache
def calls() -> Calls:
    """The functions. Raises OSError where one is missing.

    cell(buffer, offset) gives what the others take; it keeps the buffer alive. lock_within(cell, seconds) blocks
    without the interpreter's lock. initialise(cell) is for who makes the memory, before anybody else sees it.
    """
    try:
        import ctypes  # noqa: PLC0415 - 6 ms, paid only by those who need it

        # Without giving up the interpreter's lock: none of these waits, and giving it up costs more than the call.
        quick, slow = ctypes.PyDLL(None), ctypes.CDLL(None)
        block = ctypes.c_uint64 * (SIZE // 8)
        timespec = ctypes.c_long * 2
        settings = block()
        quick.pthread_mutexattr_init(settings)
        wrong = (
            quick.pthread_mutexattr_setpshared(settings, _SHARED)
            or quick.pthread_mutexattr_setrobust(settings, _ROBUST)
            # A signal handler may use the memory in whose operation it came.
            or quick.pthread_mutexattr_settype(settings, _RECURSIVE)
        )
        found = quick.pthread_mutex_trylock, quick.pthread_mutex_unlock, quick.pthread_mutex_consistent
        timed = getattr(slow, "pthread_mutex_clocklock", None)  # glibc 2.30; its time does not jump
        if timed is None:
            plain = slow.pthread_mutex_timedlock
    except (ImportError, AttributeError) as error:
        raise OSError(errno.ENOSYS, str(error)) from error
    if wrong:
        raise OSError(wrong, os.strerror(wrong))

    def lock_within(cell: Any, seconds: float) -> int:
        which = time.CLOCK_REALTIME if timed is None else time.CLOCK_MONOTONIC
        until = time.clock_gettime(which) + seconds
        limit = timespec(int(until), int(until % 1 * 1e9))
        if timed is None:
            return int(plain(cell, ctypes.byref(limit)))
        return int(timed(cell, ctypes.c_int(which), ctypes.byref(limit)))

    return Calls(
        *found,
        lock_within,
        lambda cell: int(quick.pthread_mutex_init(cell, settings)),
        lambda buffer, offset: ctypes.byref(block.from_buffer(buffer, offset)),
    )


def _probe() -> bool:
    call = calls()
    memory = bytearray(b"\xa5" * (SIZE + _GUARD))
    cell = call.cell(memory, 0)
    worked = (
        call.initialise(cell) == 0
        and call.try_lock(cell) == 0
        and call.unlock(cell) == 0
        and call.unlock(cell) == errno.EPERM  # who does not hold it cannot let it go
        and call.lock_within(cell, 0.0) == 0
        and call.unlock(cell) == 0
    )
    return worked and memory[SIZE:] == b"\xa5" * _GUARD
