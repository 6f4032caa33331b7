"""Reading logs that grow: through rotations, truncations and files that are not there yet."""

from __future__ import annotations

import os
import time
from typing import NamedTuple, Self

from rookery.logs.rotation import chain, rotated
from rookery.logs.tail import last_line_end, last_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

READ = 256 * 1024
"""Bytes per read, and so about what one poll() returns at most."""
LONGEST = 1024 * 1024
"""Bytes of an unfinished line that are held; a longer one is passed on in pieces."""
IDLE_POLL = 0.25
"""Seconds between polls once nothing has come for a while."""
IDLE_AFTER = 20
"""Polls without a line before they become rarer."""


class Position(NamedTuple):
    """A place in one file, which a rotation does not change: (device, inode) and an offset in bytes."""

    device: int
    inode: int
    offset: int


class LogSource(NamedTuple):
    """What follow_all reads. label and stream come back with each line; sources with one path are read once."""

    label: str
    stream: str
    path: str


def end_of(path: str) -> Position | None:
    """The place after the last whole line of the newest file, or None where there is no file.

    Raises OSError where it may not be read.
    """
    try:
        fd = _open(path)
    except FileNotFoundError:
        return None
    try:
        return Position(*_identity(os.fstat(fd)), last_line_end(fd))
    finally:
        os.close(fd)


class Follower:
    """Reads one log from a position on, by polling. Use it as a context manager, or close() it.

    position: where to begin, None for the beginning of the newest file (which need not be there yet). If the
    position's file has gone meanwhile, reading begins with the newest one. Not safe for several threads at once.
    """

    def __init__(self, path: str, position: Position | None = None) -> None:
        self.path = path
        self._wanted = position
        self._fd = -1
        self._identity = (0, 0)
        self._offset = 0
        self._partial: list[bytes] = []
        self._partial_size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def position(self) -> Position | None:
        """Where to go on later: after the last line that poll() has returned."""
        if self._fd < 0:
            return self._wanted
        return Position(*self._identity, max(0, self._offset - self._partial_size))

    def poll(self) -> list[bytes]:
        """The whole lines that have come, without their newlines; empty: nothing for now.

        Returns a part where much has come: call it again until it is empty. Raises OSError where a file may not
        be read.
        """
        if self._fd < 0 and not self._begin():
            return []
        while True:
            data = os.pread(self._fd, READ, self._offset)
            if data:
                self._offset += len(data)
                lines = self._cut(data)
                if lines:
                    return lines
            elif os.fstat(self._fd).st_size < self._offset:  # somebody has emptied it
                self._offset = 0
                if self._partial:
                    return [self._take_partial()]
            elif not self._go_on():
                return []

    def close(self) -> None:
        """Close the file; the position stays."""
        if self._fd >= 0:
            self._wanted = self.position
            os.close(self._fd)
            self._fd = -1
        self._take_partial()

    def _begin(self) -> bool:
        number, offset = 0, 0
        if self._wanted is not None:
            for number_of_old, status in chain(self.path):
                if _identity(status) == self._wanted[:2]:
                    number = number_of_old
                    offset = self._wanted.offset if self._wanted.offset <= status.st_size else 0
                    break
        try:
            fd = _open(rotated(self.path, number))
        except FileNotFoundError:
            return False
        identity = _identity(os.fstat(fd))
        if offset and self._wanted is not None and identity != self._wanted[:2]:
            os.close(fd)  # rotated under our hands; the next poll finds it
            return False
        self._fd, self._identity, self._offset = fd, identity, offset
        return True

    def _go_on(self) -> bool:
        """At the end of a file: whether there is more to read, in this one after all or in the next."""
        following = self._open_next()
        if following < 0:
            return False
        # Looked at after the next file was seen, so whoever wrote has left this one: now its end is its end.
        if os.pread(self._fd, 1, self._offset):
            os.close(following)
            return True
        os.close(self._fd)
        self._fd, self._identity, self._offset = following, _identity(os.fstat(following)), 0
        return True

    def _open_next(self) -> int:
        """The file that came after ours, opened, or -1 while there is none."""
        try:
            if _identity(os.stat(self.path)) == self._identity:
                return -1
        except FileNotFoundError:
            return -1  # between rename and open, or deleted: the old file may still grow
        files = list(chain(self.path))
        ours = next((number for number, status in files if _identity(status) == self._identity), None)
        if ours is None:  # deleted, or rotated away for good: the oldest that was written to after ours
            since = os.fstat(self._fd).st_mtime_ns
            younger = [number for number, status in files if status.st_mtime_ns >= since]
        else:
            younger = [number for number, _ in files if number < ours]
        if not younger:
            return -1
        number = younger[-1]
        try:
            fd = _open(rotated(self.path, number))
        except FileNotFoundError:
            return -1
        status = os.fstat(fd)
        # Numbers only grow and chain() looks at the small ones first: if this is still the file that it saw under the
        # number, no file was between it and ours. Otherwise a rotation came between; the next poll sees it whole.
        is_same = _identity(status) == _identity(dict(files)[number])
        # An empty newest file says that the writer may not have moved on yet (logrotate makes it before it tells).
        is_early = number == 0 and status.st_size == 0
        if is_same and not is_early:
            return fd
        os.close(fd)
        return -1

    def _cut(self, data: bytes) -> list[bytes]:
        cut = data.rfind(b"\n")
        if cut < 0:
            self._partial.append(data)
            self._partial_size += len(data)
            return [self._take_partial()] if self._partial_size > LONGEST else []
        lines = (self._take_partial() + data[:cut]).split(b"\n")
        if cut + 1 < len(data):
            self._partial.append(data[cut + 1 :])
            self._partial_size = len(data) - cut - 1
        return lines

    def _take_partial(self) -> bytes:
        partial = b"".join(self._partial)
        self._partial.clear()
        self._partial_size = 0
        return partial


def follow_all(
    sources: Iterable[LogSource],
    *,
    lines: int = 15,
    poll: float = 0.1,
    sleep: Callable[[float], None] = time.sleep,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[str, str, bytes]]:
    """Yield (label, stream, line) of several logs: the last ``lines`` of each, then what comes, until stop().

    poll: seconds between looks; fewer looks while nothing comes. sleep is called whenever all that is there was
    yielded (a good place to flush output). One fd per file is open. Raises OSError where a file may not be read.
    """
    by_path: dict[str, LogSource] = {}
    for source in sources:
        by_path.setdefault(source.path, source)
    followers: list[tuple[LogSource, Follower]] = []
    idle = 0
    try:
        for source in by_path.values():
            position, last = _last_and_end(source.path, lines)
            followers.append((source, Follower(source.path, position)))
            for line in last:
                yield source.label, source.stream, line
        while not stop():
            idle += 1
            for source, follower in followers:
                for line in follower.poll():
                    idle = 0
                    yield source.label, source.stream, line
            if idle:
                sleep(poll if idle < IDLE_AFTER else max(poll, IDLE_POLL))
    finally:
        for _, follower in followers:
            follower.close()


def _last_and_end(path: str, lines: int) -> tuple[Position | None, list[bytes]]:
    for _ in range(5):  # again if a rotation came between the two looks
        position = end_of(path)
        last = last_lines(path, lines, until_offset=position.offset if position else 0)
        after = end_of(path)
        if (after and after[:2]) == (position and position[:2]):
            break
    return position, last


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
