"""One pipe, and how its bytes become lines in a log file."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import sys
import termios

from rookery.logs.stamp import Stamper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.logs.writer import LogFile

CHUNK = 64 * 1024
"""Bytes per read where bytes must be looked at; larger ones are slower (caches)."""
HOLD = 64 * 1024
"""Bytes of an unfinished line that are held back while others write to the same file."""


class Source:
    """The reading end of one pipe, moved into one log file.

    fd: the reading end, taken over. timestamps: the time goes before each line.
    ended: nothing will ever come again. is_waiting: another source's line must be finished first.
    """

    __slots__ = ("_blocking", "_held", "_is_fifo", "_stamper", "dropped", "ended", "fd", "is_waiting", "log", "size")

    def __init__(self, fd: int, log: LogFile, *, timestamps: bool) -> None:
        self.fd, self._is_fifo, self._blocking = _own(fd)
        self.log = log
        self.size = 0
        self.dropped = 0
        self.ended = False
        self.is_waiting = False
        self._held = b""
        self._stamper = Stamper() if timestamps else None

    def on_event(self, limit: int) -> None:
        """What to do when the pipe was reported readable: pump(), or learn that it has ended."""
        if self.pump(limit) or self.is_waiting or self.ended:
            return
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        events = dict(poll.poll(0)).get(self.fd, 0)
        if events and not self.pending():
            # A FIFO may be readable for nothing when somebody else has read it; anything else is then at its end.
            self.ended = bool(events & (select.POLLHUP | select.POLLERR)) or not self._is_fifo

    def pump(self, limit: int, *, force: bool = False) -> int:
        """Move up to limit bytes of what is in the pipe now, without ever waiting for more; how many it were.

        force: do not wait for the end of another source's line in the same file either.
        """
        moved = 0
        self.is_waiting = False
        while moved < limit:
            available = self.pending()
            if not available:
                break
            self.is_waiting = not self.log.claim(self, force=force)
            if self.is_waiting:
                break
            taken = self._move(min(available, limit - moved))
            if not taken:
                break
            moved += taken
        self.size += moved
        return moved

    def finish(self, limit: int) -> None:
        """Move all that is in the pipe now (at most about limit bytes) and what is held back of the last line."""
        while limit > 0 and not self.ended:
            moved = self.pump(min(limit, CHUNK * 4), force=True)
            if not moved:
                break
            limit -= moved
        if self._held and self.log.claim(self, force=True):
            held, self._held = self._held, b""
            self._write(held)
        self.log.release(self)
        self.log.retry()

    def pending(self) -> int:
        """How many bytes are in the pipe now."""
        try:
            return int.from_bytes(fcntl.ioctl(self.fd, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)
        except OSError:
            return CHUNK if not self._blocking else 0

    def counters(self) -> dict[str, int]:
        """What ``stats`` tells of this pipe."""
        return {"bytes": self.size, "dropped": self.dropped}

    def close(self) -> None:
        """Close the pipe; what is in it stays there for the next reader."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _move(self, count: int) -> int:
        shared = self.log.users > 1
        if not shared and self._stamper is None and not self._held:
            moved = self.log.splice(self.fd, count)
            if moved:
                return moved
        data = self._read(min(count, CHUNK))
        if data:
            self._take(data, shared=shared)
        return len(data)

    def _take(self, data: bytes, *, shared: bool) -> None:
        size = len(data)
        if self._held:
            data = self._held + data
        cut = len(data)
        if shared:
            cut = data.rfind(b"\n", len(data) - size) + 1
            # Too long to be held, or begun already: it goes out in pieces, and the others wait for its end.
            if len(data) - cut > HOLD or (not cut and self.log.mid_line):
                cut = len(data)
        self._held = data[cut:]
        if cut:
            self._write(data[:cut])

    def _write(self, data: bytes) -> None:
        if self._stamper is not None:
            data = self._stamper.stamp(data, mid_line=self.log.mid_line)
        self.dropped += self.log.write(data)

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
