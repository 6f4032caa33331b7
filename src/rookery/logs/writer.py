"""One log file: written at its end, rotated at a newline, never a reason to stop an app."""

from __future__ import annotations

import os
import sys
import time
from errno import EAGAIN, ENOSPC

from rookery.logs.file_end import FileEnd
from rookery.logs.loss import Loss
from rookery.logs.rotation import shift

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_EVERY = 2.0
"""Seconds between two looks whether the path still names our file."""
RETRY_EVERY = 1.0
"""Seconds before a failed write is tried again; what comes meanwhile is dropped."""
ROTATE_AGAIN = 5.0
"""Seconds before a refused rotation is tried again; the file grows meanwhile."""

_splice: Callable[..., int] | None = getattr(os, "splice", None)
_SPLICE_NONBLOCK = 2


class LogFile:
    """The end of one log file, for one source or several.

    max_size: bytes before rotation, 0 for never; a file may pass it to finish a line. keep: rotated files.
    write, clock: stand-ins for os.write and time.monotonic. No method raises OSError: what cannot be written is
    dropped and counted in ``loss``.
    """

    __slots__ = (
        "_can_splice", "_clock", "_end", "_look_at", "_owner", "_released", "_retry_at", "_rotate_at", "_said",
        "_write", "keep", "loss", "max_size", "path", "rotations", "users",
    )  # fmt: skip

    def __init__(
        self,
        path: str,
        *,
        max_size: int,
        keep: int,
        write: Callable[[int, memoryview], int] = os.write,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.max_size = max_size
        self.keep = keep
        self.users = 0
        self.rotations = 0
        self.loss = Loss()
        self._write = write
        self._clock = clock
        self._end = FileEnd()
        self._can_splice = _splice is not None
        self._owner: object = None
        self._released = False
        self._look_at = self._retry_at = self._rotate_at = 0.0
        self._said = False
        self._open()

    @property
    def size(self) -> int:
        """Bytes in the present file."""
        return self._end.size

    @property
    def problem(self) -> str:
        """Why nothing is written at present, or ""."""
        return self.loss.why if self._end.fd < 0 or self.loss.size else ""

    @property
    def mid_line(self) -> bool:
        """Whether what was written (or dropped) last was no whole line."""
        return self.loss.torn if self.loss.size else self._end.mid_line

    def claim(self, owner: object, *, force: bool = False) -> bool:
        """Whether owner may write now: nobody may while another one's line is unfinished.

        The unfinished line is ended by a newline if its owner has gone or released it, or with force.
        """
        if self._owner is owner:
            self._released = False
            return True
        # The first owner of a file that we have just opened goes on with the line that he began before this process
        # was started; with several users nobody can tell whose line it was.
        if (self._owner is not None or self.users > 1) and self.mid_line:
            if not (force or self._released or self._owner is None):
                return False
            if self.loss.size:
                self.loss.torn = False
            else:
                self.write(b"\n")
        self._owner = owner
        self._released = False
        return True

    def release(self, owner: object) -> None:
        """Owner has nothing to write for now: another one may end his unfinished line."""
        if self._owner is owner:
            self._released = True

    def write(self, data: bytes) -> int:
        """Write data, rotating where it is time to; return how many lines were dropped."""
        before = self.loss.all_lines
        if self.loss.size:
            torn = self.loss.rest_of_line(data)
            if torn:
                self.loss.add(data[:torn])
                data = data[torn:]
            if data and not self.retry():
                self.loss.add(data)
                data = b""
        else:
            self._look()
        self._end.seek()
        view = memoryview(data)
        start, end = 0, len(data)
        while start < end:
            stop = self._fit(data, start)
            start += self._put(view[start:stop])
            if start < stop:
                self.loss.add(data[start:])
                break
            if start < end:
                self._rotate()
        return self.loss.all_lines - before

    def splice(self, pipe: int, count: int) -> int:
        """Move up to count bytes from a pipe without looking at them; 0 where write() must do it."""
        if not self._can_splice or self._end.fd < 0 or self.loss.size:
            return 0
        self._look()
        self._end.seek()
        if self.max_size and self.size + count > self.max_size:
            return 0
        try:
            moved = _splice(pipe, self._end.fd, count, flags=_SPLICE_NONBLOCK) if _splice else 0
        except BlockingIOError:
            return 0
        except OSError:
            # EINVAL, ENOSYS, EPERM: not for this file or not in this sandbox. A full disk lands here too; write()
            # then meets it again and counts.
            self._can_splice = False
            return 0
        self._end.grew(moved, None)
        return moved

    def retry(self, *, force: bool = False) -> bool:
        """Tell in the file what was lost, if it can be written again; whether nothing is left to be told.

        force: now, and even inside a torn line.
        """
        if not self.loss.size:
            return True
        if not force and (self.loss.torn or self._clock() < self._retry_at):
            return False
        if self._end.fd < 0 and not self._open():
            return False
        self._end.seek()
        mark = self.loss.mark()
        if self._end.mid_line:
            mark = b"\n" + mark
        if self._put(memoryview(mark)) < len(mark):
            return False
        self.loss.clear()
        self._said = False
        self._can_splice = _splice is not None and self._end.is_regular
        return True

    def refresh(self, *, reopen: bool = False) -> None:
        """Look now whether the path still names our file; reopen: open it anew in any case."""
        self._look_at = 0.0
        if reopen:
            self._open()
        else:
            self._look()

    def counters(self) -> dict[str, int | str]:
        """What ``stats`` tells of this file."""
        return {
            "path": self.path,
            "size": self.size,
            "rotations": self.rotations,
            "dropped_lines": self.loss.all_lines,
            "dropped_bytes": self.loss.all_bytes,
            "problem": self.problem,
        }

    def close(self) -> None:
        """Close the file; what is still to be told of losses is tried a last time."""
        self.retry(force=True)
        self._end.close()

    def _fit(self, data: bytes, start: int) -> int:
        """Up to where data goes into the present file; start itself: rotate first."""
        room = self.max_size - self.size
        if not self.max_size or len(data) - start <= room or not self._end.is_regular:
            return len(data)
        if self._clock() < self._rotate_at:
            return len(data)
        cut = data.rfind(b"\n", start, start + max(0, room)) + 1
        if cut:
            return cut
        if self.size and not self.mid_line:
            return start
        return data.find(b"\n", start) + 1 or len(data)

    def _put(self, view: memoryview) -> int:
        if self._end.fd < 0:
            return 0
        done = 0
        try:
            while done < len(view):
                written = self._write(self._end.fd, view[done:])
                if written == 0:
                    raise OSError(ENOSPC, os.strerror(ENOSPC))
                done += written
        except OSError as error:
            self._failed(error)
        if done:
            self._end.grew(done, view[done - 1])
        return done

    def _rotate(self) -> None:
        try:
            if self._end.is_named(self.path):
                shift(self.path, self.keep)
                self.rotations += 1
        except OSError as error:
            self._say(f"cannot rotate: {error.strerror}")
            self._rotate_at = self._clock() + ROTATE_AGAIN
            return
        # If the new file cannot be opened, the old one is still there under its new name and takes what comes.
        if not self._open():
            self._rotate_at = self._clock() + ROTATE_AGAIN

    def _open(self) -> bool:
        try:
            self._end.open(self.path)
        except OSError as error:
            self._failed(error)
            return False
        self._can_splice = _splice is not None and self._end.is_regular
        self._look_at = self._clock() + LOOK_EVERY
        return True

    def _look(self) -> None:
        now = self._clock()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        if self._end.is_regular and not self._end.is_named(self.path):
            self._open()

    def _failed(self, error: OSError) -> None:
        self._retry_at = self._clock() + RETRY_EVERY
        self.loss.why = os.strerror(error.errno or EAGAIN)
        if not self._said:
            self._say(f"cannot be written, lines are dropped: {self.loss.why}")
            self._said = True

    def _say(self, text: str) -> None:
        # manager.log may be on the same full disk.
        try:
            sys.stderr.write(f"rookery-collector: {self.path}: {text}\n")
        except (OSError, ValueError):
            return
