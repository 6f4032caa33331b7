"""The time in front of each line."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Stamper:
    """Puts ISO 8601 local time with milliseconds and offset before each line.

    clock: wall time in seconds. Lines that arrive together get one and the same time.
    """

    __slots__ = ("_clock", "_millisecond", "_offset", "_prefix", "_second", "_text")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._millisecond = -1
        self._second = -1
        self._text = ""
        self._offset = ""
        self._prefix = b""

    def stamp(self, data: bytes, *, mid_line: bool) -> bytes:
        """Data with the time before each line that begins in it; mid_line: its first line began earlier."""
        prefix = self._now()
        ends = data.endswith(b"\n")
        text = (data[:-1] if ends else data).replace(b"\n", b"\n" + prefix)
        return b"".join((b"" if mid_line else prefix, text, b"\n" if ends else b""))

    def _now(self) -> bytes:
        millisecond = int(self._clock() * 1000)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._second = second
                local = time.localtime(second)
                minutes = abs(local.tm_gmtoff) // 60
                sign = "-" if local.tm_gmtoff < 0 else "+"
                self._offset = f"{sign}{minutes // 60:02d}:{minutes % 60:02d} "
                self._text = time.strftime("%Y-%m-%dT%H:%M:%S.", local)
            self._prefix = f"{self._text}{rest:03d}{self._offset}".encode()
        return self._prefix
