"""The near end of one pipe: looking at what is in it, and taking it out.

Where the kernel can copy without taking (tee), output stays in the pipe until it is in the log file, so that a killed
collector loses none of it. Elsewhere what was looked at is held here, and dies with the process.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import sys
import termios

from rookery._os.pipes import tee_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

CHUNK = 64 * 1024
"""Bytes looked at in one go; larger ones are slower (caches)."""
_GET_SIZE: Final = getattr(fcntl, "F_GETPIPE_SZ", 1032)


class Scratch:
    """The pipe that copies go through, one for all intakes of a process; can_peek: whether the system can do it."""

    def __init__(self) -> None:
        self._tee = tee_call()
        self._out = self._in = self._nowhere = -1
        if self._tee is not None:
            self._out, self._in = os.pipe()
            self._nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    @property
    def can_peek(self) -> bool:
        """Whether there is a way to look without taking."""
        return self._tee is not None

    def peek(self, pipe: int, most: int) -> bytes:
        """Up to so many of the next bytes in the pipe. Raises OSError where this is no pipe."""
        assert self._tee is not None
        copied = self._tee(pipe, self._in, most)
        return os.read(self._out, copied) if copied else b""

    def discard(self, pipe: int, count: int) -> None:
        """Take bytes out of the pipe that have been looked at."""
        while count > 0:
            try:
                taken = os.splice(pipe, self._nowhere, count, flags=os.SPLICE_F_NONBLOCK)
            except BlockingIOError:  # somebody else has taken them
                return
            if not taken:
                return
            count -= taken

    def close(self) -> None:
        """Close the pipe."""
        for fd in (self._out, self._in, self._nowhere):
            if fd >= 0:
                os.close(fd)
        self._out = self._in = self._nowhere = -1


class Intake:
    """The reading end of one pipe, taken over. Nothing here waits.

    fd: for events and splice; longest: bytes of an unfinished line beyond which the pipe may be too full for the rest;
    ended: nothing will ever come again; signals: SIGIO comes, see signal().
    """

    __slots__ = ("_blocking", "_held", "_is_fifo", "_scratch", "ended", "fd", "longest", "signals")

    def __init__(self, fd: int, scratch: Scratch) -> None:
        self.fd, self._is_fifo, self._blocking = _own(fd)
        self._scratch: Scratch | None = scratch if scratch.can_peek else None
        self._held = b""
        self.signals = False
        self.ended = False
        try:
            # Pages need not be full: writes that do not fit the last one begin a new one, so half is what is sure.
            self.longest = min(fcntl.fcntl(self.fd, _GET_SIZE) // 2, CHUNK)
        except OSError:
            self.longest = CHUNK // 2

    @property
    def can_splice(self) -> bool:
        """Whether the next bytes of the stream are the next ones in the pipe."""
        return not self._held

    def pending(self) -> int:
        """How many bytes there are now."""
        try:
            count = int.from_bytes(fcntl.ioctl(self.fd, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)
        except OSError:
            count = CHUNK if not self._blocking else 0
        return count + len(self._held)

    def peek(self) -> bytes:
        """The next bytes, CHUNK at most; the same again until they are taken."""
        if self._scratch is not None:
            try:
                return self._scratch.peek(self.fd, CHUNK)
            except OSError:  # no pipe: a socket, a terminal
                self._scratch = None
        if len(self._held) < CHUNK and (not self._blocking or self.pending() > len(self._held)):
            self._held += self._read(CHUNK - len(self._held))
        return self._held

    def take(self, count: int) -> None:
        """Take out the first so many of what peek() has shown."""
        if self._scratch is not None:
            self._scratch.discard(self.fd, count)
        else:
            self._held = self._held[count:]

    def signal(self, *, on: bool) -> bool:
        """Whether SIGIO comes from now on when somebody writes, also in the middle of a large write.

        Only where our open file description is our own. A process without a handler would be ended by it.
        """
        if on != self.signals and self._is_fifo and not self._blocking and self._scratch is not None:
            try:
                flags = fcntl.fcntl(self.fd, fcntl.F_GETFL)
                fcntl.fcntl(self.fd, fcntl.F_SETOWN, os.getpid())
                fcntl.fcntl(self.fd, fcntl.F_SETFL, flags | os.O_ASYNC if on else flags & ~os.O_ASYNC)
            except OSError:
                return False
            self.signals = on
        return self.signals

    def close(self) -> None:
        """Close the pipe; what is in it stays there for the next reader."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def check_end(self) -> None:
        """Find out whether a pipe that was reported readable and gave nothing has ended."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        events = dict(poll.poll(0)).get(self.fd, 0)
        if events and not self.pending():
            # A FIFO may be readable for nothing when somebody else has read it; anything else is then at its end.
            self.ended = bool(events & (select.POLLHUP | select.POLLERR)) or not self._is_fifo

    def _read(self, count: int) -> bytes:
        try:
            data = os.read(self.fd, count)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        self.ended = not data
        return data


def _own(fd: int) -> tuple[int, bool, bool]:
    """The fd to read from, whether it is a FIFO, and whether a read of it may block.

    The open file description is shared with the app, which would meet EAGAIN if we made it non-blocking. A FIFO can
    be opened a second time through /proc, with a description of our own: then not even an app that reads its own
    stdout can take the bytes from under our read and leave us waiting. Anything else is read only when FIONREAD
    says that there is something.
    """
    is_fifo = stat.S_ISFIFO(os.fstat(fd).st_mode)
    if is_fifo:
        mode = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
        try:
            own = os.open(f"/proc/self/fd/{fd}", mode | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            pass
        else:
            os.close(fd)
            return own, True, False
    os.set_inheritable(fd, False)
    return fd, is_fifo, True
