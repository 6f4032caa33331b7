"""What is due when: the time limits of tasks, and other moments that mostly do not come."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

K = TypeVar("K", bound="Hashable")

_TIDY_FROM = 64


class Deadlines(Generic[K]):
    """At most one moment per key, in seconds of the caller's clock. Not thread-safe: the pool's lock is held.

    A removed key leaves its entry in the heap until it is met, or until most entries are such.
    """

    __slots__ = ("_heap", "_live", "_number")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        self._live: dict[K, int] = {}
        self._number = 0

    def set(self, key: K, when: float) -> None:
        """The key is due then, and not at the moment it had before."""
        self._number = number = self._number + 1
        heap = self._heap
        if len(heap) >= _TIDY_FROM and len(heap) > 2 * len(self._live):
            self._tidy()
        self._live[key] = number
        heapq.heappush(self._heap, (when, number, key))

    def remove(self, key: K) -> bool:
        """The key is not due any more; False when it had no moment."""
        was_set = self._live.pop(key, None) is not None
        if len(self._heap) >= _TIDY_FROM and len(self._heap) > 2 * len(self._live):
            self._tidy()
        return was_set

    def next(self) -> float | None:
        """The earliest moment, None when there is none."""
        heap, live = self._heap, self._live
        while heap:
            when, number, key = heap[0]
            if live.get(key) == number:
                return when
            heapq.heappop(heap)
        return None

    def due(self, now: float) -> list[K]:
        """The keys whose moment has come, the earliest first; they are forgotten."""
        heap, live = self._heap, self._live
        keys = []
        while heap and heap[0][0] <= now:
            _, number, key = heapq.heappop(heap)
            if live.get(key) == number:
                del live[key]
                keys.append(key)
        return keys

    def clear(self) -> None:
        """Nothing is due any more."""
        self._heap.clear()
        self._live.clear()

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, key: K) -> bool:
        return key in self._live

    def _tidy(self) -> None:
        self._heap = [entry for entry in self._heap if self._live.get(entry[2]) == entry[1]]
        heapq.heapify(self._heap)
