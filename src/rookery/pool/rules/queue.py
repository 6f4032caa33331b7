"""The tasks that wait: the highest priority first, in order of arrival within one."""

from __future__ import annotations

import heapq
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TIDY_FROM = 64
"""Discarded entries that may lie about before the queue is swept."""


class Prioritised(Protocol):
    """What a queue holds. A larger number goes first."""

    @property
    def priority(self) -> int:
        """Does not change while the task waits."""
        ...


T = TypeVar("T", bound=Prioritised)


class TaskQueue(Generic[T]):
    """Waiting tasks, each at most once. Not thread-safe: the pool's lock is held. All is O(1), discard amortised.

    While all have one priority this is a plain deque: the level of the highest priority, top, is looked at first, and
    the others only when there are any. The priority of top is above those of all others, even when top is empty.
    """

    __slots__ = ("_aside", "_gone", "_live", "_order", "_others", "_priority", "_top")

    def __init__(self) -> None:
        self._priority = 0
        self._top: deque[T] = deque()
        self._others: dict[int, deque[T]] = {}
        self._order: list[int] = []  # a heap of the other priorities, negated
        self._aside = 0  # entries in others
        # Built by the first discard, dropped when the queue is empty: so each entry is counted in at most once.
        self._live: set[int] | None = None
        self._gone: set[int] = set()

    def push(self, task: T, priority: int = 0) -> None:
        """Wait behind all of its priority, which is the task's own."""
        if priority == self._priority:
            self._top.append(task)
        else:
            self._level(priority).append(task)
        if self._live is not None:
            self._enter(task)

    def push_front(self, tasks: Sequence[T]) -> None:
        """Wait again: before all others of their priority, in the order given."""
        for task in reversed(tasks):
            self._level(task.priority).appendleft(task)
            if self._live is not None:
                self._enter(task, newest=False)

    def pop(self) -> T | None:
        """The next task, which waits no more; None when nothing waits."""
        while True:
            if self._top:
                task = self._top.popleft()
                if self._live is None:
                    return task
                if self._leave(task):
                    return task
            elif self._others:
                self._next_level()
            else:
                if self._live is not None:
                    self._forget()
                return None

    def discard(self, task: T) -> bool:
        """Let it wait no more; False when it does not wait."""
        live = self._live
        if live is None:
            live = self._live = set(map(id, self._entries()))
        if id(task) not in live:
            return False
        live.remove(id(task))
        self._gone.add(id(task))
        if len(self._gone) >= _TIDY_FROM and len(self._gone) > len(live):
            self._tidy()
        return True

    def drain(self) -> list[T]:
        """All that wait, the next first; none does any more."""
        tasks = []
        while (task := self.pop()) is not None:
            tasks.append(task)
        return tasks

    def mend(self) -> None:
        """An exception came in the middle of a push: what waits goes on waiting, each task once."""
        levels = {id(level): level for level in (self._top, *self._others.values())}
        found = {id(task): task for level in levels.values() for task in level if id(task) not in self._gone}
        self._top, self._others, self._order = deque(), {}, []
        self._aside = 0
        self._forget()
        for task in found.values():
            self.push(task, task.priority)

    def __iter__(self) -> Iterator[T]:
        """All that wait, in no order; discarded ones may be among them. Nothing may change meanwhile."""
        return self._entries()

    def __len__(self) -> int:
        return len(self._top) + self._aside - len(self._gone)

    def _entries(self) -> chain[T]:
        return chain(self._top, *self._others.values())

    def _level(self, priority: int) -> deque[T]:
        """The deque of that priority, which the caller adds one entry to."""
        if priority == self._priority:
            return self._top
        if priority > self._priority or not (self._top or self._others):
            if self._top:
                self._others[self._priority] = self._top
                self._aside += len(self._top)
                heapq.heappush(self._order, -self._priority)
                self._top = deque()
            self._priority = priority
            return self._top
        self._aside += 1
        level = self._others.get(priority)
        if level is None:
            level = self._others[priority] = deque()
            heapq.heappush(self._order, -priority)
        return level

    def _next_level(self) -> None:
        self._priority = -heapq.heappop(self._order)
        self._top = self._others.pop(self._priority)
        self._aside -= len(self._top)

    def _enter(self, task: T, *, newest: bool = True) -> None:
        assert self._live is not None
        if id(task) in self._gone:  # discarded, and back before its old entry was met
            self._drop_old_entry(task, newest=newest)
        self._live.add(id(task))

    def _drop_old_entry(self, task: T, *, newest: bool) -> None:
        """Take away the older of the two entries of a task."""
        level = self._top if task.priority == self._priority else self._others[task.priority]
        places = [place for place, one in enumerate(level) if one is task]
        del level[places[0] if newest else places[-1]]
        if level is not self._top:
            self._aside -= 1
        self._gone.remove(id(task))

    def _leave(self, task: T) -> bool:
        assert self._live is not None
        if id(task) in self._gone:
            self._gone.remove(id(task))
            return False
        self._live.remove(id(task))
        return True

    def _tidy(self) -> None:
        """Keep no more of the discarded than of the waiting: what they hold may be large."""
        for level in (self._top, *self._others.values()):
            kept = [task for task in level if id(task) not in self._gone]
            level.clear()
            level.extend(kept)
        self._gone.clear()
        self._order = [-priority for priority, level in self._others.items() if level]
        heapq.heapify(self._order)
        self._others = {priority: level for priority, level in self._others.items() if level}
        self._aside = sum(map(len, self._others.values()))
        if not (self._top or self._others):
            self._forget()

    def _forget(self) -> None:
        self._live = None
        self._gone.clear()
