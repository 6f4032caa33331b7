"""Lines cut out of one persistent buffer, as framing.FrameReader does with frames."""

from __future__ import annotations

from rookery._base.framing import MAX_FRAME
from rookery.errors import FrameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZE = 64 * 1024
_KEPT = 2 * 1024 * 1024


class LineReader:
    """limit: the longest line in bytes. Lines end with a newline only, never with other separators."""

    def __init__(self, *, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._data = bytearray(_SIZE)
        self._start = 0
        self._seen = 0  # up to here no newline was found
        self._end = 0

    def room(self) -> memoryview:
        """Where to put what arrives; never empty. The lines of the last cut() end here."""
        start, end = self._start, self._end
        if start == end:
            if len(self._data) > _KEPT:
                self._data = bytearray(_SIZE)
        elif end == len(self._data) and (start == 0 or end - start > _SIZE // 2):
            grown = bytearray(2 * (end - start) + _SIZE)
            grown[: end - start] = memoryview(self._data)[start:end]
            self._data = grown
        elif start:
            view = memoryview(self._data)
            view[: end - start] = view[start:end]
        self._start, self._seen, self._end = 0, self._seen - start, end - start
        return memoryview(self._data)[self._end :]

    def cut(self, count: int) -> Iterator[memoryview]:
        """Take count bytes that were put into room(); give the lines that are now whole, without their ends.

        To be read to its end; the views are good until the next room(). Raises FrameError for a line above the limit.
        """
        data, view, start = self._data, memoryview(self._data), self._start
        end = self._end = self._end + count
        found = data.find(b"\n", self._seen, end)
        while found >= 0:
            if found - start > self._limit:
                raise self._too_long(found - start)
            yield view[start:found]
            start = found + 1
            found = data.find(b"\n", start, end)
        self._start, self._seen = start, end
        if end - start > self._limit:
            raise self._too_long(end - start)

    @property
    def partial(self) -> int:
        """How many bytes of a line wait for its rest."""
        return self._end - self._start

    def _too_long(self, size: int) -> FrameError:
        self._start = self._seen = self._end = 0
        return FrameError(f"a line of {size} bytes or more is longer than the limit of {self._limit}")
