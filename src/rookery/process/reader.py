"""Reading a pipe from the event loop, as fast as it goes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rookery._os.pipe_size import BIG, CAPACITY, grow

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.process.readiness import Readiness

_PROVES_BIG = 4
"""Full reads after which a pipe is made larger: it costs 0.4 ms, which short outputs do not earn back."""
_AT_ONCE = 16
"""Full reads before the event loop gets its turn."""


def _nothing(_: bytes = b"") -> None: ...


class PipeReader:
    """Gives what comes to take(), and says ended() once. It owns the descriptor."""

    __slots__ = ("_ended", "_full", "_is_reading", "_left", "_readiness", "_take", "fd")

    def __init__(
        self,
        readiness: Readiness,
        fd: int,
        take: Callable[[bytes], object],
        ended: Callable[[], None],
    ) -> None:
        self.fd = fd
        self._readiness = readiness
        self._take = take
        self._ended = ended
        self._full = 0
        self._left: int | None = None
        self._is_reading = True
        os.set_blocking(fd, False)  # here, while the child runs already
        readiness.add(fd, self._ready)

    def _ready(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data = os.read(self.fd, CAPACITY)
            except BlockingIOError:
                if self._left is not None:
                    self.close()
                return
            except OSError:  # EIO: nobody has the terminal open any more
                data = b""
            if not data:
                self.close()
                return
            self._take(data)
            if self._left is not None:
                self._left -= len(data)
                if self._left <= 0:
                    self.close()
            if len(data) < CAPACITY or self.fd < 0 or not self._is_reading:
                return
            self._full += 1
            if self._full == _PROVES_BIG:
                grow(self.fd)

    def look(self) -> None:
        """Take what is there already, unless it is paused."""
        if self._is_reading and self.fd >= 0:
            self._ready()

    @property
    def is_paused(self) -> bool:
        """Whether its writers are made to wait."""
        return not self._is_reading

    def pause(self) -> None:
        """Leave the rest in the pipe: its writers wait."""
        if self._is_reading and self.fd >= 0:
            self._is_reading = False
            self._readiness.remove(self.fd)

    def resume(self) -> None:
        """Go on after pause()."""
        if not self._is_reading and self.fd >= 0:
            self._is_reading = True
            self._readiness.add(self.fd, self._ready)

    def finish(self) -> None:
        """Take what is in the pipe, paused or not, and then close it, whoever still holds its other end."""
        self._left = BIG
        while self.fd >= 0:
            self._ready()

    def close(self) -> None:
        """Read no more."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            if self._is_reading:
                self._readiness.remove(fd)
            os.close(fd)
            ended, self._ended, self._take = (
                self._ended,
                _nothing,
                _nothing,
            )  # no circles: what it leads to may be large
            ended()

    def give_away(self) -> int:
        """Hand the descriptor over, blocking again; for us that is the end."""
        fd = os.dup(self.fd)
        os.set_blocking(fd, True)
        self.close()
        return fd


def to_all(sinks: list[Callable[[bytes], object]]) -> Callable[[bytes], object]:
    """One that takes for all of them."""

    def take(data: bytes) -> None:
        for sink in sinks:
            sink(data)

    return take
