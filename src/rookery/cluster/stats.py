"""A worker's numbers, in memory that it shares with the parent: no message for a request.

One writer (the worker's loop), any number of readers; each number is one word, so a reader sees it whole.

word  0        1          2         3       4          5            6             7      8         9       10
      version  heartbeat  requests  errors  in flight  connections  latency (us)  flags  accepted  closed  ready
      16 ...
      histogram

accepted and closed are of connections that were passed to it; they only grow. ready is written by the parent, so that
its successor finds it.
"""

from __future__ import annotations

import mmap
import os
from typing import NamedTuple

from rookery.ipc import shared_segment

SIZE = 4096
VERSION = 1
HEARTBEAT, REQUESTS, ERRORS, IN_FLIGHT, CONNECTIONS, LATENCY, FLAGS, ACCEPTED, CLOSED, READY = range(1, 11)
HISTOGRAM = 16
IS_DRAINING = 1
WANTS_REPLACEMENT = 2
_LINEAR = 16
_PER_OCTAVE = 8
BUCKETS = SIZE // 8 - HISTOGRAM
_LAST = BUCKETS - 1


def bucket(microseconds: int) -> int:
    """The place of a latency in the histogram: exact below 16 us, then eight to an octave (6 % at the utmost)."""
    if microseconds < _LINEAR:
        return max(0, microseconds)
    shift = microseconds.bit_length() - 4
    found = _LINEAR + (shift - 1) * _PER_OCTAVE + (microseconds >> shift) - _PER_OCTAVE
    return min(found, _LAST)


def middle(index: int) -> float:
    """The latency that a place of the histogram stands for, in seconds."""
    if index < _LINEAR:
        return index / 1e6
    shift, step = divmod(index - _LINEAR, _PER_OCTAVE)
    low = (step + _PER_OCTAVE) << (shift + 1)
    return (low + (1 << shift)) / 1e6


class Numbers(NamedTuple):
    """What a page said at a moment. heartbeat: monotonic seconds, 0 for none; latency: seconds of all requests."""

    heartbeat: float = 0.0
    requests: int = 0
    errors: int = 0
    in_flight: int = 0
    connections: int = 0
    latency: float = 0.0
    flags: int = 0
    accepted: int = 0
    histogram: tuple[int, ...] = ()

    def plus(self, other: Numbers) -> Numbers:
        """Both together; heartbeat and flags mean nothing then."""
        counts = [max(self.histogram, other.histogram, key=len), min(self.histogram, other.histogram, key=len)]
        both = [one + (counts[1][place] if place < len(counts[1]) else 0) for place, one in enumerate(counts[0])]
        return Numbers(
            0.0,
            self.requests + other.requests,
            self.errors + other.errors,
            self.in_flight + other.in_flight,
            self.connections + other.connections,
            self.latency + other.latency,
            0,
            self.accepted + other.accepted,
            tuple(both),
        )

    def at_rest(self) -> Numbers:
        """Of one who has ended: what it counted remains."""
        return self._replace(in_flight=0, connections=0)

    def percentile(self, share: float) -> float | None:
        """The latency in seconds below which that share (0 to 1) of the requests was; None without any."""
        total = sum(self.histogram)
        if not total:
            return None
        wanted = max(1, -int(-share * total // 1))
        seen = 0
        for place, count in enumerate(self.histogram):
            seen += count
            if seen >= wanted:
                return middle(place)
        return None


class Page:
    """One worker's page. words: what the worker writes to; fd: its descriptor, closed by close()."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, SIZE)
        self._view = memoryview(self._map)
        self.words = self._view.cast("Q")

    @classmethod
    def make(cls) -> Page:
        """A fresh one. Raises SharedMemoryError."""
        fd, path = shared_segment.create(SIZE)
        if path:  # where there is no memory without a name: it need not be found by anybody
            os.unlink(path)
        page = cls(fd)
        page.words[0] = VERSION
        return page

    def read(self) -> Numbers:
        """What it says now."""
        head = self.words[:HISTOGRAM].tolist()
        counts = self.words[HISTOGRAM:].tolist()
        while counts and not counts[-1]:
            counts.pop()
        return Numbers(
            head[HEARTBEAT] / 1e9,
            head[REQUESTS],
            head[ERRORS],
            head[IN_FLIGHT],
            head[CONNECTIONS],
            head[LATENCY] / 1e6,
            head[FLAGS],
            head[ACCEPTED],
            tuple(counts),
        )

    def close(self) -> None:
        """Let go of it."""
        if self.fd >= 0:
            self.words.release()
            self._view.release()
            self._map.close()
            os.close(self.fd)
            self.fd = -1
