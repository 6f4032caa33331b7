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

    A removed key is let go of at once; a number of it stays in the heap until it is met, or until most are such.
    """

    __slots__ = ("_heap", "_keys", "_live", "_number")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._live: dict[K, int] = {}
        self._keys: dict[int, K] = {}
        self._number = 0

    def set(self, key: K, when: float) -> None:
        """The key is due then, and not at the moment it had before."""
        self.remove(key)
        self._number = number = self._number + 1
        self._live[key] = number
        self._keys[number] = key
        heapq.heappush(self._heap, (when, number))

    def remove(self, key: K) -> bool:
        """The key is not due any more; False when it had no moment."""
        number = self._live.pop(key, None)
        if number is None:
            return False
        del self._keys[number]
        if len(self._heap) >= _TIDY_FROM and len(self._heap) > 2 * len(self._live):
            self._heap = [entry for entry in self._heap if entry[1] in self._keys]
            heapq.heapify(self._heap)
        return True

    def next(self) -> float | None:
        """The earliest moment, None when there is none."""
        while self._heap and self._heap[0][1] not in self._keys:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[K]:
        """The keys whose moment has come, the earliest first; they are forgotten."""
        keys = []
        while self._heap and self._heap[0][0] <= now:
            key = self._keys.pop(heapq.heappop(self._heap)[1], None)
            if key is not None:
                del self._live[key]
                keys.append(key)
        return keys

    def clear(self) -> None:
        """Nothing is due any more."""
        self._heap.clear()
        self._live.clear()
        self._keys.clear()

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, key: K) -> bool:
        return key in self._live
