"""How long things took: counts in buckets of about equal relative width.

The upper 16 bits of a double are its sign, its exponent and 4 bits of its mantissa: 16 buckets per power of two, each
at most 1/16 wide. So a value's bucket is a part of its own bits, and a thousand values are sorted in by C code.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST = 1e-6
LONGEST = 1e5

_TOP_BITS = 3 if sys.byteorder == "little" else 0
_WAITING = 1024


def _bucket(seconds: float) -> int:
    return int(struct.unpack(">H", struct.pack(">d", seconds)[:2])[0])


def _edge(bucket: int) -> float:
    return float(struct.unpack(">d", struct.pack(">H6x", bucket))[0])


_FIRST, _LAST = _bucket(SHORTEST), _bucket(LONGEST)
_NEGATIVE = 0x8000  # the sign is the highest bit


@dataclass(frozen=True, slots=True)
class Times:
    """A summary, in seconds; None where nothing was counted."""

    count: int = 0
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    max: float | None = None


class Histogram:
    """Durations from 1 us to 10^5 s (what is outside counts as the nearest), told back with at most 3.2 % error.

    At most 600 buckets, and 1,024 values not yet sorted in. Not thread-safe: the pool's lock is held. Who counts anyway
    may call ``append`` in place of add, three times as fast, and settle after each thousand.
    """

    __slots__ = ("_count", "_counts", "_max", "_total", "_values", "append")

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._count = 0
        self._total = 0.0
        self._max = 0.0
        self._values: list[float] = []  # the same list for ever: append is its own
        self.append: Callable[[float], None] = self._values.append

    def add(self, seconds: float) -> None:
        """Count one. Less than nothing (a clock of another machine) counts as nothing."""
        values = self._values
        values.append(seconds)
        if len(values) >= _WAITING:
            self.settle()

    def extend(self, seconds: list[float]) -> None:
        """Count many."""
        self._values.extend(seconds)
        if len(self._values) >= _WAITING:
            self.settle()

    def settle(self) -> None:
        """Sort in what was added."""
        values = self._values
        if not values:
            return
        fresh = Counter(memoryview(array("d", values)).cast("B").cast("H")[_TOP_BITS::4])
        if max(fresh) >= _NEGATIVE:
            values[:] = [max(0.0, value) for value in values]
        for bucket, count in fresh.items():
            within = _FIRST if bucket >= _NEGATIVE else min(max(bucket, _FIRST), _LAST)
            self._counts[within] += count
        self._count += len(values)
        self._total += sum(values)
        self._max = max(self._max, max(values))  # noqa: PLW3301 - a call with a thousand arguments is slower
        values.clear()

    @property
    def count(self) -> int:
        """How many were added."""
        return self._count + len(self._values)

    @property
    def total(self) -> float:
        """The sum in seconds, exact."""
        self.settle()
        return self._total

    @property
    def mean(self) -> float | None:
        """In seconds, exact; None of nothing."""
        return self.total / self._count if self.count else None

    @property
    def max(self) -> float | None:
        """In seconds, exact; None of nothing."""
        self.settle()
        return self._max if self._count else None

    def percentile(self, percent: float) -> float | None:
        """The value in seconds that so many percent (0 to 100) do not exceed; None of nothing."""
        self.settle()
        if not self._count:
            return None
        rank = max(1.0, self._count * percent / 100)
        seen = 0
        bucket = _FIRST
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                break
        return min((_edge(bucket) + _edge(bucket + 1)) / 2, self._max)

    def merge(self, other: Histogram) -> None:
        """Count all that the other counts too."""
        self.settle()
        other.settle()
        self._counts.update(other._counts)
        self._count += other._count
        self._total += other._total
        self._max = max(self._max, other._max)

    def summary(self) -> Times:
        """Its numbers as they are now."""
        return Times(self.count, self.mean, self.percentile(50), self.percentile(90), self.percentile(99), self.max)
