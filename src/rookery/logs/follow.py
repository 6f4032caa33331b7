"""Reading logs that grow: through rotations, compression, truncations and files that are not there yet.

A Follower goes forward through the files of one log, oldest first, and never ends; what was written before is history,
and history ends where it returns nothing for the first time. It holds one file open, and its index.
"""

from __future__ import annotations

import time
import zlib
from typing import Literal, NamedTuple, Self

from rookery.logs.parts import PartFile, listed, open_part
from rookery.logs.position import BEGINNING, MARK, Position, fits
from rookery.logs.rotation import PACKED
from rookery.logs.succession import ours_of, successor, younger_than
from rookery.logs.times import Times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.logs.rotation import Part

READ = 64 * 1024
"""Bytes per read, and so about what one read() returns at most."""
LONGEST = 1024 * 1024
"""Bytes of an unfinished line that are held; a longer one is passed on in pieces."""
_INDEX_AGAIN = 1.0
"""Seconds until an index that was not there is looked for again."""


class Chunk(NamedTuple):
    """Whole lines that came at one time, or a piece of a very long line.

    data ends with a newline unless is_open: its line goes on in the next chunk, which continues. time: wall ms, by the
    index, None where it does not know; order: wall ms for comparing with other files, never unknown.
    """

    data: bytes
    time: int | None = None
    order: int = 0
    continues: bool = False
    is_open: bool = False


class Follower:
    """Reads one log from a position on, by polling. Use it as a context manager, or close() it.

    position: where to begin; None: the beginning of the newest file, and of the oldest where none is there yet.
    If its file has gone meanwhile, reading goes on with the oldest that is younger. on_loss: called with the number of
    files that were removed before they were read, 0 where some may have been. times: what tells when
    lines came; by "mtime" they are as old as the file's last change, "": nothing does, all is one chunk.
    Not safe for several threads at once.
    """

    def __init__(
        self,
        path: str,
        position: Position | None = None,
        *,
        on_loss: Callable[[int], None] | None = None,
        times: Literal["", "index", "mtime"] = "",
    ) -> None:
        self.path = path
        self._wanted = position
        self._on_loss = on_loss or (lambda _lost: None)
        self._kind = times
        self._file: PartFile | None = None
        self._name = ""
        self._times: Times | None = None
        self._times_at = 0.0
        self._ahead: list[tuple[int, int]] = []
        """The younger files at the last look, oldest first."""
        self._base = 0
        self._buffer = b""
        """What was read from the file at base on and not yet returned."""
        self._carried = b""
        """The unfinished line at the end of an older file, and where it begins."""
        self._carried_at: Position | None = None
        self._recent = b""
        self._mark = (0, 0)
        self._is_inside = self._has_more = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def position(self) -> Position | None:
        """Where to go on later: after the last line that was returned."""
        if self._file is None:
            return self._wanted
        if self._carried_at is not None:
            return self._carried_at
        if self._recent:
            self._mark = len(self._recent), zlib.crc32(self._recent)
        return Position(*self._file.identity, self._base, self._mark, self._file.mtime_ns)

    @property
    def is_open(self) -> bool:
        """Whether a file is held open."""
        return self._file is not None

    def poll(self) -> list[bytes]:
        """The lines that have come, without their newlines; empty: nothing for now. See read()."""
        chunk = self.read()
        return [] if chunk is None else chunk.data.removesuffix(b"\n").split(b"\n")

    def read(self) -> Chunk | None:
        """The next lines, or None: nothing for now. Raises OSError where a file may not be read."""
        if self._file is None and not self._begin():
            return None
        while True:
            chunk = self._take()
            if chunk is not None:
                return chunk
            if not self._fill():
                chunk = self._emptied()
                if chunk is not None:
                    return chunk
            elif not self._has_more and not self._go_on():
                return None

    def rest(self) -> Chunk | None:
        """The unfinished line at the end, if there is one; it is taken for read."""
        if not self._carried and not self._buffer:
            return None
        return self._chunk(len(self._buffer), self._when(), is_open=True)

    def close(self) -> None:
        """Close the file; the position stays, and read() opens it again."""
        if self._file is not None:
            self._wanted = self.position
            if self._wanted is not None:
                self._mark = self._wanted.mark
        self._leave()
        self._buffer = self._carried = self._recent = b""
        self._carried_at = None

    # What is read, and when it came.

    def _take(self) -> Chunk | None:
        """Whole lines out of what was read, up to where the time changes; or a piece of a long line."""
        first = self._buffer.find(b"\n") + 1
        if self._is_inside or self._carried or not first:
            # Begins elsewhere, or ends elsewhere: a chunk by itself.
            is_long = self._is_inside or len(self._buffer) + len(self._carried) >= LONGEST
            if not self._buffer or not (first or is_long):
                return None
            return self._chunk(first or len(self._buffer), self._when(), is_open=not first)
        cut = self._buffer.rfind(b"\n") + 1
        when = self._when()
        if when[2] is not None and when[2] < self._base + cut:
            cut = self._buffer.find(b"\n", max(0, when[2] - self._base - 1)) + 1
        return self._chunk(cut, when)

    def _fill(self) -> bool:
        """Read on. False: what was read last is not there any more, somebody has shortened the file."""
        assert self._file is not None
        # Read once more with what comes: it may have grown beyond our place since it was shortened.
        known = b"" if self._file.is_packed else (self._recent + self._buffer)[-MARK:]
        end = self._base + len(self._buffer)
        data = self._file.read(end - len(known), READ + len(known))
        if not data.startswith(known) or (
            not known and not data and not self._file.is_packed and self._file.size() < end
        ):
            return False
        self._has_more = len(data) > len(known)
        self._buffer += data[len(known) :]
        return True

    def _chunk(self, used: int, when: tuple[int | None, int, int | None], *, is_open: bool = False) -> Chunk:
        """What was carried and so many bytes of the buffer, as read."""
        own = self._buffer[:used]
        chunk = Chunk(self._carried + own, when[0], when[1], self._is_inside, is_open)
        self._is_inside = is_open
        self._recent = own[-MARK:] if used >= MARK else (self._recent + own)[-MARK:]
        self._base += used
        self._buffer = self._buffer[used:]
        self._carried, self._carried_at = b"", None
        return chunk

    def _when(self) -> tuple[int | None, int, int | None]:
        """When the line at base came, its place among others, and the offset from which on that changes."""
        if not self._kind:
            return None, 0, None
        if self._kind == "mtime":
            return None, self._changed(), None
        times = self._open_times()
        at, following = times.at(self._base)
        if at is not None:
            return at, at, following
        first = times.first()
        if first is not None:
            return None, first, following
        return None, self._changed(), None

    def _changed(self) -> int:
        return self._file.mtime_ns // 1_000_000 if self._file is not None else 0

    def _open_times(self) -> Times:
        assert self._file is not None
        now = time.monotonic()
        if self._times is not None and now < self._times_at:
            return self._times
        self._times_at = now + _INDEX_AGAIN
        if self._times is not None and self._times and not self._times.is_replaced:
            return self._times
        if self._times is not None:
            self._times.close()
        self._times = Times(self._name.removesuffix(PACKED), self._file.identity)
        if not self._times:  # rotated since
            part = ours_of(listed(self.path), self._file)
            if part is not None and part.name != self._name:
                self._name = part.name
                self._times = Times(part.name.removesuffix(PACKED), self._file.identity)
        return self._times

    # From file to file.

    def _begin(self) -> bool:
        parts = listed(self.path)
        if not parts:
            if self._wanted is None:
                self._wanted = BEGINNING
            return False
        wanted = self._wanted
        if wanted is None:
            return self._enter(parts, parts[0], 0)
        same = [part for part in parts if part.identity == wanted[:2]]
        if wanted.written and not wanted.mark[0]:
            # Nothing to know it by. If an older one was written to since, this one has the inode of ours, no more.
            since = max((part.number for part in parts if part.mtime_ns > wanted.written), default=0)
            same = [part for part in same if part.number >= since]
        # Shortened in place: what was there may have been copied before.
        copies = [part for part in parts[1:3] if wanted.mark[0]] if parts[0] in same else []
        for part in same + copies:
            if fits(part, wanted):
                return self._enter(parts, part, wanted.offset)
        younger = [part for part in parts if part.mtime_ns >= wanted.written]
        if not younger:
            return False
        # One of the same inode may be ours, emptied in place; not if an older one was written to since.
        is_ours = same and not any(part.mtime_ns > wanted.written > 0 for part in parts if part.number > same[0].number)
        if wanted != BEGINNING and not is_ours:
            self._on_loss(0)
        return self._enter(parts, younger[-1], 0)

    def _enter(self, parts: list[Part], part: Part, offset: int) -> bool:
        try:
            file = open_part(part)
        except FileNotFoundError:
            return False  # renamed or packed under our hands; the next poll finds it
        self._move(file, part, offset)
        self._ahead = younger_than(part, parts)
        self._recent = b"" if part.is_packed else file.read(max(0, offset - MARK), min(MARK, offset))
        self._mark = self._wanted.mark if self._wanted is not None and offset else (0, 0)
        return True

    def _emptied(self) -> Chunk | None:
        """Somebody has shortened our file. If they have copied it before (logrotate's copytruncate), read that on."""
        here = self.position
        parts = listed(self.path)
        copies = [part for part in parts[1:3] if here is not None and here.mark[0] and self._carried_at is None]
        for part in copies:
            if here is not None and fits(part, here):
                try:
                    file = open_part(part)
                except FileNotFoundError:
                    continue
                self._move(file, part, self._base)
                self._ahead = younger_than(part, parts)
                return None
        was_inside, rest = self._is_inside, self.rest()
        self._is_inside = False
        self._base, self._recent, self._mark = 0, b"", (0, 0)
        if rest is not None:
            return rest._replace(data=rest.data + b"\n", is_open=False)
        return Chunk(b"\n", continues=True) if was_inside else None

    def _go_on(self) -> bool:
        """At the end of a file: whether there is more to read, in this one after all or in the next."""
        assert self._file is not None
        found = successor(self.path, self._file, self._ahead)
        if found is None:
            return False
        file, part, parts, lost = found
        end = self._base + len(self._buffer)
        # Looked at after the next file was seen, so whoever wrote has left this one: now its end is its end.
        if data := self._file.read(end, READ):
            file.close()
            self._buffer += data
            return True
        if lost is not None:
            self._on_loss(lost)
        if self._buffer and not self._carried:
            self._carried_at = self.position
        self._carried, self._buffer = self._carried + self._buffer, b""
        self._move(file, part, 0)
        self._ahead = younger_than(part, parts)
        self._recent, self._mark = b"", (0, 0)
        return True

    def _move(self, file: PartFile, part: Part, offset: int) -> None:
        self._leave()
        self._file, self._name, self._base = file, part.name, offset

    def _leave(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._times is not None:
            self._times.close()
            self._times = None
        self._times_at = 0.0
