"""Several logs read together, in the order of time as far as their indexes tell it.

::

    Follower -- Reader --.
    Follower -- Reader --+-- Merge.history(): all that was there at the beginning, oldest first
    Follower -- Reader --'   Merge.round():   what has come since the last look

A chunk is what one file took in at one time, so lines of one file that came together stay together.
"""

from __future__ import annotations

import heapq
import time
from typing import Self

from rookery.logs.follow import Follower
from rookery.logs.position import end_of
from rookery.logs.times import SLACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rookery.logs.feeds import Feed
    from rookery.logs.follow import Chunk
    from rookery.logs.position import Position

ROUND = 0.5
"""Seconds after which a round ends although more is there: one who writes without end must not silence the others."""
FDS_EACH = 2
"""A file and its index."""


class Reader:
    """One file of a Merge. position: where to begin, as for a Follower; since, until: wall ms.

    Lines whose time is not known are within since and until. position is after the last chunk that Merge has yielded.
    """

    __slots__ = ("_end", "_since", "_until", "feed", "follower", "is_at_end", "is_done", "order", "position")

    def __init__(
        self,
        feed: Feed,
        position: Position | None = None,
        *,
        since: int | None = None,
        until: int | None = None,
        on_loss: Callable[[int], None] | None = None,
    ) -> None:
        self.feed = feed
        self.follower = Follower(feed.path, position, on_loss=on_loss, times="index" if feed.timed else "mtime")
        self.position = position
        self.is_done = False
        self.order = 0
        self._since = since
        self._until = until
        self._end: Position | None = None
        self.is_at_end = False

    def stop_at(self, end: Position | None) -> None:
        """Return nothing from that place on, until go_on(); None: the file is not there."""
        self._end = end
        self.is_at_end = end is None or self._has_passed(self.position)

    def go_on(self) -> None:
        """Read to wherever the file ends."""
        self._end, self.is_at_end = None, False

    def read(self) -> Chunk | None:
        """The next chunk; None: nothing for now, or for ever where is_done. Raises OSError."""
        while not (self.is_done or self.is_at_end):
            chunk = self.follower.read()
            if chunk is None:
                return None
            if self._end is not None:
                self.is_at_end = self._has_passed(self.follower.position)
            if chunk.time is not None:
                if self._until is not None and chunk.time > self._until:
                    self.is_done = True
                    return None
                if self._since is not None and chunk.time + SLACK <= self._since:
                    continue
            self.order = max(self.order, chunk.order)  # a clock that is set back does not turn a file round
            return chunk
        return None

    def _has_passed(self, here: Position | None) -> bool:
        return self._end is not None and here is not None and here[:2] == self._end[:2] and here[2] >= self._end[2]


class Merge:
    """Readers, and the descriptors they may use. Use it as a context manager, or close() it.

    most_open: files held open at once; the others are opened again when they are read. with_positions: keep the
    readers' positions. Not safe for several threads.
    """

    def __init__(self, *, most_open: int = 10_000, with_positions: bool = False) -> None:
        self.readers: list[Reader] = []
        self._most = max(1, most_open)
        self._with_positions = with_positions
        self._open: dict[Reader, None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, reader: Reader) -> None:
        """Read one more file."""
        self.readers.append(reader)

    def remove(self, reader: Reader) -> None:
        """Read it no more."""
        self.readers.remove(reader)
        self._open.pop(reader, None)
        reader.follower.close()

    def close(self) -> None:
        """Close all files; their positions stay."""
        for reader in self.readers:
            reader.follower.close()
        self._open.clear()

    def history(
        self, readers: Iterable[Reader] | None = None, *, with_rest: bool = False
    ) -> Iterator[tuple[Reader, Chunk]]:
        """What is there now, oldest first; of some readers only. A little of what comes meanwhile may be among it.

        with_rest: also an unfinished line at the end; do not read on then.
        """
        chosen = list(self.readers if readers is None else readers)
        for reader in chosen:
            reader.stop_at(end_of(reader.feed.path, whole=not with_rest))
        yield from self._merged(chosen, None)
        for reader in chosen:
            rest = reader.follower.rest() if with_rest and not (reader.is_done or reader.is_at_end) else None
            if rest is not None:
                yield reader, rest
            reader.go_on()

    def round(self) -> Iterator[tuple[Reader, Chunk]]:
        """What has come since the last look."""
        return self._merged(self.readers, time.monotonic() + ROUND)

    def _merged(self, readers: list[Reader], deadline: float | None) -> Iterator[tuple[Reader, Chunk]]:
        waiting: list[tuple[int, int, Chunk, Position | None]] = []
        readers = list(readers)
        for number, reader in enumerate(readers):
            chunk = self._read(reader)
            if chunk is not None:
                waiting.append((reader.order, number, chunk, self._position(reader)))
        heapq.heapify(waiting)
        while waiting:
            _, number, chunk, position = waiting[0]
            reader = readers[number]
            reader.position = position
            yield reader, chunk
            following = None if deadline is not None and time.monotonic() > deadline else self._read(reader)
            if following is None:
                heapq.heappop(waiting)
            else:
                # The pieces of one line come one after the other.
                order = -1 if chunk.is_open else reader.order
                heapq.heapreplace(waiting, (order, number, following, self._position(reader)))

    def _position(self, reader: Reader) -> Position | None:
        return reader.follower.position if self._with_positions else None

    def _read(self, reader: Reader) -> Chunk | None:
        if len(self.readers) <= self._most:
            return reader.read()
        if not reader.follower.is_open:
            while len(self._open) >= self._most:
                oldest = next(iter(self._open))
                del self._open[oldest]
                oldest.follower.close()
        self._open.pop(reader, None)
        chunk = reader.read()
        if reader.follower.is_open:
            self._open[reader] = None
        return chunk
