"""Memory that processes share, as a descriptor: a memfd, or a file where there are none.

A memfd has no name: the kernel frees it with the last process that uses it, however that ends. Another process finds it
by an Address, below the maker's /proc/PID/fd; pid and start time, device and inode say that it is the same one still.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from typing import Any, NamedTuple

from rookery._os import features, kernel, machine
from rookery.errors import SharedMemoryError
from rookery.ipc import shared_names

_memfd_create: Any = getattr(os, "memfd_create", None)


class Address(NamedTuple):
    """Where another process of this user finds a segment, while the process that tells it lives and has it open."""

    pid: int
    started: int
    fd: int
    device: int
    inode: int
    path: str


def has_memfd() -> bool:
    """Whether memory without a name can be had (not so on macOS)."""
    return features.has("memfd", lambda: os.close(_memfd_create("rookery-probe")) is None)  # type: ignore[func-returns-value]


def create(size: int) -> tuple[int, str]:
    """A new segment of zeros: (descriptor, its path or ""). Raises SharedMemoryError."""
    memory = machine.memory()
    if memory is not None and size > memory[0]:
        raise SharedMemoryError(
            f"no shared array of {size} bytes can be made", why=f"this machine gives us {memory[0]} bytes of memory"
        )
    path = ""
    fd = -1
    try:
        if _memfd_create is not None and has_memfd():
            fd = _memfd_create("rookery", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(fd, size)
            # Nobody may shorten it below the mappings of others, who would die of SIGBUS.
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        else:
            path = shared_names.data_path()
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            os.ftruncate(fd, size)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, size)  # a full file system says so here, not by SIGBUS later
    except OSError as error:
        if fd >= 0:
            os.close(fd)
            if path:
                os.unlink(path)
        raise SharedMemoryError(f"no shared array of {size} bytes can be made", why=error.strerror or "") from error
    return fd, path


def map_whole(fd: int) -> mmap.mmap:
    """The memory behind a descriptor. Raises SharedMemoryError."""
    try:
        return mmap.mmap(fd, os.fstat(fd).st_size)
    except (OSError, ValueError) as error:
        raise SharedMemoryError("this descriptor is no shared array", why=str(error)) from error


def address_of(fd: int, path: str) -> Address:
    """Where others find what this process has open."""
    found = os.fstat(fd)
    pid = os.getpid()
    return Address(pid, kernel.start_time(pid) or 0, fd, found.st_dev, found.st_ino, path)


def open_address(address: Address) -> int:
    """A descriptor of our own for what another process has open. Raises SharedMemoryError."""
    place = address.path or f"/proc/{address.pid}/fd/{address.fd}"
    gone = "the process that told it has ended, or has closed the array"
    try:
        fd = os.open(place, os.O_RDWR | os.O_CLOEXEC | (os.O_NOFOLLOW if address.path else 0))
    except OSError as error:
        why = f"{gone}, or this process may not look at it" if error.errno == errno.EACCES else gone
        raise SharedMemoryError("this shared array is not there any more", why=why) from error
    found = os.fstat(fd)
    if (found.st_dev, found.st_ino) != (address.device, address.inode) or (
        not address.path and kernel.start_time(address.pid) != address.started
    ):
        os.close(fd)
        raise SharedMemoryError("this shared array is not there any more", why=gone)
    return fd


def reopen(fd: int, path: str, identity: tuple[int, int]) -> int:
    """Another open file description of the same segment: locks on it are not those of fd, its copies and heirs.

    identity: device and inode. Raises SharedMemoryError where it is closed, and its file gone.
    """
    for place in (f"/proc/self/fd/{fd}", path):
        try:
            own = os.open(place, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        found = os.fstat(own)
        if (found.st_dev, found.st_ino) == identity:
            return own
        os.close(own)
    raise SharedMemoryError(
        "this process cannot use the lock of this shared array", why="it is closed, or its file gone"
    )
