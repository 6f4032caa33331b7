"""The name by which a process is seen in ps and top."""

from __future__ import annotations

import os

from rookery._os import own_memory

_PR_SET_NAME = 15


def set_title(text: str) -> bool:
    """Put text where the kernel keeps this process's arguments, cut to the room there is; whether that was done.

    ps shows it; the environment behind it is left alone. Not on macOS.
    """
    place = own_memory.arguments()
    if place is None or place[1] - place[0] <= 1:
        return False
    start, end = place
    block = os.fsencode(text).replace(b"\0", b" ")[: end - start - 1]
    if own_memory.write(start, block.ljust(end - start, b"\0")) and _set_name(block[:15]):
        return True
    try:
        import ctypes  # noqa: PLC0415 - 8 ms, paid only by those who need it

        ctypes.memmove(start, block.ljust(end - start, b"\0"), end - start)
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NAME, block[:15] + b"\0", 0, 0, 0)
    except (ImportError, OSError):  # no descriptors left, too
        return False
    return True


def _set_name(name: bytes) -> bool:
    try:
        with open("/proc/self/comm", "wb", buffering=0) as file:
            file.write(name)
    except OSError:
        return False
    return True
