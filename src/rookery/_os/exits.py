"""How a process ended that was not our child.

Until whoever is its parent has reaped it, /proc/PID/stat tells (field 52); afterwards its pidfd does (PIDFD_GET_INFO
with PIDFD_INFO_EXIT, Linux 6.15; the numbers are those of include/uapi/linux/pidfd.h, first version of the structure).
"""

from __future__ import annotations

import os
import struct

from rookery._os import features

_LAYOUT = struct.Struct("=QQ11Ii")  # mask, cgroup, eleven ids, exit status
_REQUEST = (3 << 30) | (_LAYOUT.size << 16) | (0xFF << 8) | 11  # _IOWR(0xFF, 11, struct pidfd_info)
_EXIT = 1 << 3


def can_tell() -> bool:
    """Whether this kernel knows the request (not yet whether it tells exits; that shows in the answer)."""
    return features.has("pidfd_info", _probe)


def _probe() -> bool:
    if not hasattr(os, "pidfd_open"):
        return False
    fd = os.pidfd_open(os.getpid())
    try:
        _ask(fd)
    finally:
        os.close(fd)
    return True


def _ask(fd: int) -> tuple[int, int]:
    import fcntl  # noqa: PLC0415

    block = bytearray(_LAYOUT.size)
    struct.pack_into("=Q", block, 0, _EXIT)
    fcntl.ioctl(fd, _REQUEST, block)
    values = _LAYOUT.unpack(block)
    return values[0], values[-1]


def returncode(pid: int, start_time: int, pidfd: int) -> int | None:
    """As Popen gives it (negative for a signal); None where it runs still, or nobody can tell (any more)."""
    status = _of_zombie(pid, start_time)
    if status is None and can_tell():
        try:
            mask, told = _ask(pidfd)
        except OSError:
            return None
        status = told if mask & _EXIT else None
    return None if status is None else os.waitstatus_to_exitcode(status)


def _of_zombie(pid: int, start_time: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            field = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    is_it = field[0] == b"Z" and int(field[19]) == start_time
    return int(field[49]) if is_it and len(field) > 49 else None
