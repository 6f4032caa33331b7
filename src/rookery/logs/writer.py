"""One log file: written at its end, rotated at a newline, never a reason to stop an app (unless it asks for that)."""

from __future__ import annotations

import math
import os
import time
from errno import EAGAIN, ENOSPC

from rookery.logs.file_end import FileEnd
from rookery.logs.index import IndexWriter
from rookery.logs.loss import Loss
from rookery.logs.ownership import Ownership
from rookery.logs.period import period_end
from rookery.logs.rotation import remove, shift
from rookery.logs.trouble import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.logs.rules import Rules
    from rookery.logs.trouble import Tell

LOOK_EVERY = 2.0
"""Seconds between two looks whether the path still names our file."""
RETRY_EVERY = 1.0
"""Seconds before a failed write is tried again; what comes meanwhile is dropped, or waits."""
ROTATE_AGAIN = 5.0
"""Seconds before a refused rotation is tried again; the file grows meanwhile."""
MARGIN = 64 * 1024
"""Bytes before the limit from which on somebody looks where lines end."""
EMPTY = -1
"""splice() found nothing in the pipe."""

_splice: Callable[..., int] | None = getattr(os, "splice", None)
_SPLICE_NONBLOCK = 2


def _nothing(_: object) -> None:
    """For whoever does not listen."""


class LogFile:
    """The end of one log file, for one writer or several.

    tell: is handed what the manager should know, see Trouble; to_pack: is called with the path after a rotation. dress:
    makes a line of ours like the others in it. write, clock, wall: stand-ins for os.write, time.monotonic and
    time.time. No method raises OSError.
    """

    __slots__ = (
        "_can_splice", "_clock", "_end", "_index", "_look_at", "_owner", "_period_end", "_retry_at",
        "_rotate_at", "_to_pack", "_trouble", "_wall", "_write", "dress", "is_full", "loss", "path", "rotations",
        "rules", "users",
    )  # fmt: skip

    def __init__(
        self,
        path: str,
        rules: Rules,
        *,
        tell: Tell = _nothing,
        to_pack: Callable[[str], None] = _nothing,
        write: Callable[[int, memoryview], int] = os.write,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.rules = rules
        self.users = 0
        self.rotations = 0
        self.loss = Loss()
        self.is_full = False
        self._trouble = Trouble(path, tell)
        self.dress: Callable[[bytes], bytes] = lambda line: line
        self._to_pack = to_pack
        self._write = write
        self._clock = clock
        self._wall = wall
        self._end = FileEnd()
        self._index = IndexWriter(path, wall=wall, clock=clock)
        self._can_splice = _splice is not None
        self._look_at = self._retry_at = self._rotate_at = 0.0
        self._period_end = math.inf
        self._owner = Ownership(self._index)
        self._open()

    @property
    def size(self) -> int:
        """Bytes in the present file."""
        return self._end.size

    @property
    def problem(self) -> str:
        """Why nothing is written at present, or ""."""
        is_wrong = self._end.fd < 0 or self.loss.size or self.is_full or self._trouble.is_astray
        return self._trouble.why if is_wrong else ""

    @property
    def needs_retry(self) -> bool:
        """Whether retry() has something to do."""
        return self.is_full or self.loss.size > 0

    @property
    def mid_line(self) -> bool:
        """Whether what was written (or dropped) last was no whole line."""
        return self.loss.torn if self.loss.size else self._end.mid_line

    # -- whose line ---------------------------------------------------------------------------------------------------

    def is_of(self, key: str) -> bool:
        """Whether the writer with that key (see ownership) was the last one here, and may go on."""
        return self._owner.is_of(key)

    def claim(self, key: str, *, force: bool = False) -> bool:
        """Whether the writer with that key may write now: nobody may while another one's line is unfinished.

        That line is ended by a newline if its owner has gone or released it, or with force.
        """
        owner = self._owner
        if owner.is_of(key):
            return True
        if owner.key != key and self.mid_line:
            # Where nobody can tell whose it was, the only writer goes on with it.
            if owner.key and not (force or owner.is_gone(key)):
                return False
            if owner.key or self.users > 1:
                self.end_line()
                if self.mid_line:  # the disk is full, and the writers wait
                    return False
        owner.take(key, self.size)
        return True

    def release(self, key: str) -> None:
        """The writer has nothing to write for now: another one may end his unfinished line."""
        self._owner.release(key, self.size)

    def began(self, key: str) -> int:
        """The offset from which on the writer has written to the present file."""
        since = self._owner.began(key)
        return self.size if since is None else since

    def end_line(self) -> None:
        """End the unfinished line by a newline."""
        if self.loss.size:
            self.loss.torn = False
        else:
            self.write(b"\n")

    # -- writing ------------------------------------------------------------------------------------------------------

    def room(self, data: bytes) -> int:
        """How many of the next bytes go into the present file, at least one; rotates first where it is time to."""
        self._look()
        self._end.seek()
        for _ in range(2):
            fitting = self._fit(data, 0)
            if fitting:
                return fitting
            self._rotate()
        return len(data)

    def write(self, data: bytes) -> int:
        """Write data, rotating where it is time to; return how many bytes are done with: written, or dropped."""
        if self.is_full and not self.retry():
            return 0
        size = len(data)
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
            if stop > start:
                start += self._put(view[start:stop])
            if start < stop:
                if self.rules.blocks:
                    self.is_full = True
                    return size - end + start
                self.loss.add(data[start:])
                break
            if start < end:
                self._rotate()
        return size

    def splice(self, pipe: int, count: int, *, exact: bool = False) -> int:
        """Move up to count bytes from a pipe without looking at them; 0 where write() must do it; or EMPTY.

        exact: the caller knows from room() that they belong in this file; otherwise it ends well before the limit.
        """
        if not self._can_splice or _splice is None or self._end.fd < 0 or self.loss.size or self.is_full:
            return 0
        if not exact:
            self._look()
            if self._wall() >= self._period_end:
                return 0
        self._end.seek()
        if not exact and self.rules.max_size:
            count = min(count, self.rules.max_size - self.size - MARGIN)
            if count <= 0:
                return 0
        self._index.note(self.size)
        try:
            moved = _splice(pipe, self._end.fd, count, flags=_SPLICE_NONBLOCK)
        except BlockingIOError:
            return EMPTY
        except OSError:
            # EINVAL, ENOSYS, EPERM: not for this file or not in this sandbox. A full disk lands here too; write()
            # then meets it again and counts.
            self._can_splice = False
            return 0
        self._end.grew(moved, None)
        self._trouble.written()
        return moved

    def retry(self, *, force: bool = False) -> bool:
        """Tell in the file what was lost, if it can be written again; whether nothing is left to be told.

        force: now, and even inside a torn line.
        """
        if self.is_full and (force or self._clock() >= self._retry_at):
            self.is_full = False  # the next write finds out
            self._can_splice = _splice is not None and self._end.is_regular
            if self._end.fd < 0:
                self._open()
        if not self.loss.size:
            return not self.is_full
        if not force and (self.loss.torn or self._clock() < self._retry_at):
            return False
        self._look()  # what cannot be written may have been moved away
        if self._end.fd < 0 and not self._open():
            return False
        self._end.seek()
        mark = self.dress(self.loss.mark(self._trouble.why))
        if self._end.mid_line:
            mark = b"\n" + mark
        if self._put(memoryview(mark)) < len(mark):
            return False
        self._trouble.end(self.loss.lines, self.loss.size)
        self.loss.clear()
        self._can_splice = _splice is not None and self._end.is_regular
        return True

    # -- the file -----------------------------------------------------------------------------------------------------

    def refresh(self, *, reopen: bool = False) -> None:
        """Look now whether the path still names our file; reopen: open it anew in any case."""
        self._look_at = 0.0
        if reopen:
            self._open()
        else:
            self._look()

    def empty(self) -> None:
        """Begin anew; what there is, rotated files too, is deleted. Readers of the old file are not disturbed."""
        remove(self.path)
        self.is_full = False
        if self.loss.size:
            self._retry_at = 0.0
        self._open()

    def counters(self) -> dict[str, int | str]:
        """What ``stats`` tells of this file."""
        return {
            "path": self.path,
            "size": self.size,
            "rotations": self.rotations,
            "dropped_lines": self.loss.all_lines,
            "dropped_bytes": self.loss.all_bytes,
            "problem": self.problem,
            "blocks": self.rules.blocks,
            "astray": self._trouble.is_astray,
        }

    def close(self) -> None:
        """Close the file; what is still to be told of losses is tried a last time."""
        self.retry(force=True)
        self._trouble.end(self.loss.lines, self.loss.size)  # whoever opens it next begins anew
        self._end.close()
        self._index.close()

    def _fit(self, data: bytes, start: int) -> int:
        """Up to where data goes into the present file; start itself: rotate first."""
        is_due = self._wall() >= self._period_end
        if is_due and not self.size:
            self._set_period(self._wall())
            is_due = False
        room = self.rules.max_size - self.size
        if not is_due and (not self.rules.max_size or len(data) - start <= room):
            return len(data)
        if not self._end.is_regular or self._clock() < self._rotate_at:
            return len(data)
        if not is_due:
            cut = data.rfind(b"\n", start, start + max(0, room)) + 1
            if cut:
                return cut
        if self.size and not self.mid_line:
            return start
        return data.find(b"\n", start) + 1 or len(data)

    def _put(self, view: memoryview) -> int:
        if self._end.fd < 0:
            return 0
        self._index.note(self.size)
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
        if done == len(view) and not self.loss.size:
            self._trouble.written()
        return done

    def _rotate(self) -> None:
        is_ours = False
        try:
            is_ours = self._end.is_named(self.path)
            if is_ours:
                self._index.close()
                shift(self.path, self.rules.keep)
                self.rotations += 1
        except OSError as error:
            self._trouble.say(f"cannot rotate: {error.strerror}")
            self._rotate_at = self._clock() + ROTATE_AGAIN
            self._index.attach(self._end.identity)
            return
        # If the new file cannot be opened, the old one is still there under its new name and takes what comes.
        if not self._open():
            self._rotate_at = self._clock() + ROTATE_AGAIN
        if is_ours and self.rules.compress:
            self._to_pack(self.path)

    def _open(self) -> bool:
        try:
            self._end.open(self.path)
        except OSError as error:
            self._failed(error, astray=self._end.fd >= 0)
            return False
        if self._trouble.is_astray:
            self._trouble.end()
        self._can_splice = _splice is not None and self._end.is_regular
        self._look_at = self._clock() + LOOK_EVERY
        self._set_period(self._end.changed_at if self.size else self._wall())
        if self._end.is_regular:
            self._index.attach(self._end.identity)
            self._owner.on_open(self.size)
        return True

    def _set_period(self, at: float) -> None:
        self._period_end = period_end(self.rules.rotate, at)

    def _look(self) -> None:
        now = self._clock()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        if not self._end.is_named(self.path):
            self._open()

    def _failed(self, error: OSError, *, astray: bool = False) -> None:
        self._retry_at = self._clock() + RETRY_EVERY
        self._trouble.begin(os.strerror(error.errno or EAGAIN), blocks=self.rules.blocks, astray=astray)
