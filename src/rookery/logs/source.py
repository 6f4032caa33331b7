"""One pipe, and how its bytes become lines in log files.

::

    raw, the file is ours alone      FIFO --splice--> file                      nobody looks at the bytes
    raw, shared or near the limit    FIFO --peek--> where does the line end?
                                     FIFO --splice exactly so far--> file       a kill loses and repeats nothing
    stamped, prefixed, JSON          FIFO --peek--> Maker --write--> files, then FIFO --discard
                                                                                a kill may repeat this one chunk

A line whose end has not come stays in the pipe, but where it is raw in a file of ours alone and far from the limit, or
too long. So the same output makes the same files, however it is split into writes.
"""

from __future__ import annotations

from rookery.logs.intake import CHUNK, Intake
from rookery.logs.writer import EMPTY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.logs.intake import Scratch
    from rookery.logs.maker import Maker
    from rookery.logs.writer import LogFile


class Source:
    """The reading end of one pipe, moved into one log file, and into a second one where several are combined.

    key: names it in the file's index. fd: taken over. maker: makes of lines what is written; None: as they are.
    waits_for: why nothing was moved at the last pump: "line" (another source's must be finished first), "disk", or "".
    has_more: the last pump had to end before the pipe was empty. is_mid_line: it left an unfinished line in the pipe.
    """

    __slots__ = (
        "_ahead", "_due", "_is_ending", "_maker", "_owed", "began", "combined", "dropped", "has_more", "intake",
        "is_mid_line", "key",
        "log", "size", "waits_for",
    )  # fmt: skip

    def __init__(
        self,
        key: str,
        fd: int,
        log: LogFile,
        *,
        scratch: Scratch,
        combined: LogFile | None = None,
        maker: Maker | None = None,
    ) -> None:
        self.key = key
        self.intake = Intake(fd, scratch)
        self.log = log
        self.combined = combined
        self.size = 0
        self.dropped = 0
        self.began = 0
        self.has_more = False
        self.is_mid_line = False
        self.waits_for = ""
        self._maker = maker
        self._due: list[tuple[LogFile, bytes]] = []
        self._owed = 0  # bytes in the pipe that _due was made of
        self._ahead = 0  # bytes in the pipe that the combined file has already
        self._is_ending = False

    @property
    def fd(self) -> int:
        """For events."""
        return self.intake.fd

    @property
    def ended(self) -> bool:
        """Whether nothing will ever come again."""
        return self.intake.ended

    @ended.setter
    def ended(self, value: bool) -> None:
        self.intake.ended = value

    @property
    def files(self) -> tuple[LogFile, ...]:
        """The files it writes to."""
        return (self.log,) if self.combined is None else (self.log, self.combined)

    def check_end(self) -> None:
        """Find out whether a pipe that was reported readable and gave nothing has ended."""
        if not self.ended and not self.waits_for:
            self.intake.check_end()

    def pump(self, limit: int, *, force: bool = False) -> int:
        """Move up to limit bytes of what is in the pipe now, without ever waiting for more; how many it were.

        force: do not wait for the end of another source's line in the same file either.
        """
        moved = 0
        self.waits_for = ""
        self.is_mid_line = False
        before = self.log.loss.all_lines
        while moved < limit:
            taken = self._write_due() if self._due else self._move(limit - moved, force=force)
            if not taken:
                break
            moved += taken
        self.dropped += self.log.loss.all_lines - before
        self.has_more = moved >= limit
        self.size += moved
        return moved

    def finish(self, limit: int) -> None:
        """Move all that is in the pipe now (at most about limit bytes), and let go of the files.

        An unfinished line goes too; what comes later begins a new one where others share the file.
        """
        self.drain(limit, is_end=True)
        if not self.waits_for:
            end = self._maker.end() if self._maker is not None else b""
            for log in self.files:
                if end and log.claim(self.key, force=True):
                    log.write(end)
        self.began = self.log.began(self.key)
        for log in self.files:
            log.release(self.key)
            log.retry()

    def drain(self, limit: int, *, is_end: bool = False) -> None:
        """Move all that is in the pipe now (at most about limit bytes); an unfinished line only at the end."""
        self._is_ending = is_end
        while limit > 0 and not self.ended:
            moved = self.pump(min(limit, CHUNK * 4), force=True)
            if not moved:
                break
            limit -= moved
        self._is_ending = False

    def counters(self) -> dict[str, int]:
        """What ``stats`` tells of this pipe."""
        return {"bytes": self.size, "dropped": self.dropped}

    def close(self) -> None:
        """Close the pipe; what is in it stays there for the next reader."""
        self.intake.close()

    @property
    def _is_raw_alone(self) -> bool:
        return self._maker is None and self.combined is None and self.log.users <= 1

    def _move(self, limit: int, *, force: bool) -> int:
        if self._is_raw_alone and self.intake.can_splice:
            if not self.log.is_of(self.key) and not self.intake.pending():
                return 0
            if not self._claim(force=force):
                return 0
            moved = self.log.splice(self.fd, limit)
            if moved:
                return max(0, moved) if moved != EMPTY else 0
        data = self.intake.peek()
        if not data:
            return 0
        if not self._claim(force=force):
            return 0
        cut = self._cut(data)
        if not cut:
            self.is_mid_line = True
            return 0
        return self._put_raw(data[:cut]) if self._maker is None else self._make(self._maker, data[:cut])

    def _claim(self, *, force: bool) -> bool:
        for log in self.files:
            if not log.claim(self.key, force=force):
                self.waits_for = "disk" if log.is_full else "line"
                return False
        return True

    def _cut(self, data: bytes) -> int:
        """How many of these bytes may be moved now; 0: the end of their line has not come."""
        if self._is_raw_alone and not self.log.rules.max_size:
            return len(data)
        cut = data.rfind(b"\n") + 1
        if cut:
            return cut
        # Begun already, or too long to wait: the pipe might be too full for its end. It goes out in pieces, and the
        # others wait.
        is_begun = self._maker.is_inside if self._maker is not None else self.log.mid_line
        if is_begun or self._is_ending or len(data) >= self.intake.longest or len(data) < self.intake.pending():
            return len(data)
        return 0

    def _put_raw(self, data: bytes) -> int:
        if self.combined is not None and self._ahead < len(data):
            self._ahead += self.combined.write(data[self._ahead :])
            if self._ahead < len(data):
                self.waits_for = "disk"
                return 0
        place = self.log.room(data)
        moved = self.log.splice(self.fd, place, exact=True) if self.intake.can_splice else 0
        if moved == EMPTY:  # somebody else has read it: an app its own output
            return 0
        if not moved:
            moved = self.log.write(data[:place])
            self.intake.take(moved)
            if not moved:
                self.waits_for = "disk"
        self._ahead = max(0, self._ahead - moved)
        return moved

    def _make(self, maker: Maker, data: bytes) -> int:
        if maker.is_inside and not self.log.mid_line:  # somebody has ended our line
            maker.reset()
        elif not maker.is_inside:
            for log in self.files:
                if log.mid_line:  # ours, of before the death of a collector: torn
                    log.end_line()
        text = maker.make(data)
        self._due = [(log, text) for log in reversed(self.files)]
        self._owed = len(data)
        return self._write_due()

    def _write_due(self) -> int:
        while self._due:
            log, text = self._due[0]
            done = log.write(text)
            if done < len(text):
                self._due[0] = (log, text[done:])
                self.waits_for = "disk"
                return 0
            del self._due[0]
        owed, self._owed = self._owed, 0
        self.intake.take(owed)
        return owed
