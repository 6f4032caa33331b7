"""Results on their way into event loops: many that come together wake a loop once."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_log = logging.getLogger("rookery.pool")


class LoopReplies:
    """What is to be called in one loop. Any thread may put something in; the loop is held weakly."""

    __slots__ = ("__weakref__", "_calls", "_is_woken", "_lock", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._calls: deque[tuple[Callable[[Any, Any], object], Any, Any]] = deque()
        self._lock = threading.Lock()
        self._is_woken = False

    def put(self, function: Callable[[Any, Any], object], first: Any, second: Any) -> None:
        """Have it called, in order. A loop that was closed has nobody left who waits."""
        with self._lock:
            self._calls.append((function, first, second))
            if self._is_woken:
                return
            self._is_woken = True
        loop = self._loop()
        try:
            if loop is not None:
                loop.call_soon_threadsafe(self._deliver)
                return
        except RuntimeError:
            pass
        with self._lock:
            self._is_woken = False
            dropped = list(self._calls)
            self._calls.clear()
        del dropped  # without the lock: what their ends do may come back here

    def _deliver(self) -> None:
        with self._lock:
            self._is_woken = False
            calls, self._calls = self._calls, deque()
        for function, first, second in calls:
            try:
                function(first, second)
            except Exception:
                _log.exception("a callback of a task failed")


_replies: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopReplies] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def replies_of(loop: asyncio.AbstractEventLoop) -> LoopReplies:
    """The one of this loop."""
    found = _replies.get(loop)
    if found is None:
        with _making:
            found = _replies.get(loop)
            if found is None:
                found = _replies[loop] = LoopReplies(loop)
    return found
