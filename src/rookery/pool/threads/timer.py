"""The thread that looks at the clock for a thread pool. There is none until something is due, and when nothing is."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LINGER = 5.0
"""Seconds that it stays when nothing is due: the next task with a time limit is probably near."""


class Timer:
    """tick(now): do what is due; called without the lock. next_moment(): when something is due, or None; with it.

    at() and stop() are called with the pool's lock held, which is also what guards everything here.
    """

    def __init__(
        self,
        lock: threading.Lock,
        tick: Callable[[float], object],
        next_moment: Callable[[], float | None],
        name: str,
    ) -> None:
        self._lock = lock
        self._tick = tick
        self._next_moment = next_moment
        self._name = name
        self._thread: threading.Thread | None = None
        self._wake = threading.Lock()
        self._wake.acquire()
        self._sleeps_until = float("inf")
        self._is_stopped = False

    def at(self, when: float) -> None:
        """Tick then, or before. Raises RuntimeError where the system has no threads left."""
        if self._thread is None:
            if self._is_stopped:
                return
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            thread.start()
            self._thread = thread
        elif when < self._sleeps_until:
            self._rouse()

    def stop(self) -> threading.Thread | None:
        """Tick no more; the thread that is to be joined, if any."""
        self._is_stopped = True
        if self._thread is not None:
            self._rouse()
        return self._thread

    def _rouse(self) -> None:
        self._sleeps_until = float("-inf")  # so that it is roused once
        if self._wake.locked():
            self._wake.release()

    def _run(self) -> None:
        while True:
            self._tick(monotonic())
            with self._lock:
                if self._is_stopped:
                    self._thread = None
                    return
                when = self._next_moment()
                now = monotonic()
                until = now + _LINGER if when is None else when
                self._sleeps_until = until
            was_roused = self._wake.acquire(timeout=min(threading.TIMEOUT_MAX, max(0.0, until - now)))
            if when is None and not was_roused:
                with self._lock:
                    if self._sleeps_until > float("-inf"):
                        self._thread = None
                        return
