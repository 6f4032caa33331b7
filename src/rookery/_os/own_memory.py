"""Where the kernel keeps this process's arguments and environment, and writing there: what ps and /proc show.

Linux only; elsewhere there is nothing to be found. It goes by /proc, so that nobody has to load ctypes for it.
"""

from __future__ import annotations

import os

_ARGUMENTS = 45
_ENVIRONMENT = 47


def arguments() -> tuple[int, int] | None:
    """The first address of this process's arguments and the one behind; None where that is not to be had."""
    return _region(_ARGUMENTS)


def environment() -> tuple[int, int] | None:
    """The first address of the environment that this process was started with, and the one behind; or None."""
    return _region(_ENVIRONMENT)


def _region(field: int) -> tuple[int, int] | None:
    try:
        with open("/proc/self/stat", "rb", buffering=0) as file:
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[field]), int(fields[field + 1])
    except (OSError, IndexError, ValueError):
        return None
    return (start, end) if 0 < start < end else None


def read(start: int, end: int) -> bytes:
    """What is there; b"" where that may not be looked at."""
    try:
        fd = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(fd, end - start, start)
    except OSError:
        return b""
    finally:
        os.close(fd)


def write(start: int, data: bytes) -> bool:
    """Put data there; whether that was done. A wrong address destroys this process."""
    try:
        fd = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:  # hardened, or there is no /proc
        return False
    try:
        return os.pwrite(fd, data, start) == len(data)
    except OSError:
        return False
    finally:
        os.close(fd)
