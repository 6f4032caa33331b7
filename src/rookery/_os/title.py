"""The name by which a process is seen in ps and top."""

from __future__ import annotations

import os

_PR_SET_NAME = 15


def set_title(text: str) -> bool:
    """Put text where the kernel keeps this process's arguments, cut to the room there is; whether that was done.

    ps shows it; the environment behind it is left alone. Not on macOS.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            field = file.read().rpartition(b")")[2].split()
        start, end = int(field[45]), int(field[46])
        import ctypes  # noqa: PLC0415 - 8 ms, paid only by those who need it
    except (OSError, ImportError, IndexError):
        return False
    room = end - start
    if start == 0 or room <= 1:
        return False
    block = os.fsencode(text).replace(b"\0", b" ")[: room - 1]
    ctypes.memmove(start, block.ljust(room, b"\0"), room)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NAME, block[:15] + b"\0", 0, 0, 0)
    return True
