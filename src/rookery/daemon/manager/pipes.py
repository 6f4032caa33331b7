"""Named pipes that have lost their name: an app's output, and its stdin."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from rookery import errors

PIPE_BUF = 4096
"""A write of up to so many bytes is one piece or nothing (Linux; POSIX promises 512)."""


def make_pipe(path: str, uid: int | None, gid: int | None) -> int:
    """A pipe, open for reading and writing, whose name is gone again. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    os.mkfifo(path, 0o600)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    finally:
        os.unlink(path)
    if uid is not None or gid is not None:
        os.fchown(fd, -1 if uid is None else uid, -1 if gid is None else gid)
    return fd


def reopen_pipe(pid: int, number: int) -> int:
    """The pipe that a process has open under that number. Raises OSError, also where it is none."""
    path = f"/proc/{pid}/fd/{number}"
    if not stat.S_ISFIFO(os.stat(path).st_mode):
        raise OSError(f"{path} is no pipe of ours")
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(fd, True)  # non-blocking only so that the open cannot hang
    return fd


class Stdin:
    """The pipe to one app, or none. It is open for reading here too, so the app never meets its end."""

    def __init__(self) -> None:
        self.fd = -1

    def take(self, fd: int) -> None:
        """Hold fd from now on."""
        self.close()
        self.fd = fd

    def write(self, data: bytes) -> None:
        """Put data in, all of it or nothing, without waiting. Raises UsageError, OperationFailed."""
        if self.fd < 0:
            raise errors.UsageError("its stdin is not a pipe", hint='set stdin = "pipe" (--stdin pipe) and restart it')
        if len(data) > PIPE_BUF:
            raise errors.UsageError(f"a message may have {PIPE_BUF} bytes, this one has {len(data)}")
        # A description of its own: O_NONBLOCK on ours would reach the app.
        fd = os.open(f"/proc/self/fd/{self.fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(fd, data)
        except BlockingIOError:
            raise errors.OperationFailed("the app does not read its stdin", why="the pipe to it is full") from None
        finally:
            os.close(fd)

    def close(self) -> None:
        """Let go of it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
