"""What happens in a pool, for whoever wants to know."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Literal, get_args

from rookery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal[
    "worker_created",
    "worker_ready",
    "worker_exited",
    "worker_replaced",
    "task_queued",
    "task_started",
    "task_progress",
    "task_completed",
    "task_failed",
    "task_timed_out",
    "task_retried",
    "task_cancelled",
]
KINDS: frozenset[str] = frozenset(get_args(Kind))

_log = logging.getLogger("rookery.pool")


@dataclass(frozen=True, slots=True)
class PoolEvent:
    """at: monotonic seconds; task: its label; worker: its name; value: what task_progress reported; reason: a sentence;
    error: of a task that failed, timed out or is retried, and of a worker that could not start or died.
    """

    kind: Kind
    at: float
    task: str | None = None
    worker: str | None = None
    reason: str = ""
    error: BaseException | None = None
    value: object = None


class Listeners:
    """Who is told of what. Any thread may call anything.

    Test ``tasks`` (or ``workers``) before emit: false when nobody listens to any kind that begins so, and then an event
    costs this test alone.
    """

    __slots__ = ("_calls", "_lock", "tasks", "workers")

    def __init__(self) -> None:
        self.tasks = False
        self.workers = False
        self._lock = Lock()
        self._calls: dict[str, tuple[Callable[[PoolEvent], object], ...]] = {}  # the tuples are replaced, never changed

    def on(self, kind: Kind | Literal["*"], callback: Callable[[PoolEvent], object]) -> Callable[[], None]:
        """Call back with every event of that kind, or of all ("*"); returns what ends this, once or more.

        The callback runs in the thread where it happens, and must be quick. Raises UsageError for a kind that there is
        not, and for a coroutine function.
        """
        if kind != "*" and kind not in KINDS:
            raise UsageError(f"a pool has no event {kind!r}", hint=f"one of: *, {', '.join(sorted(KINDS))}")
        if inspect.iscoroutinefunction(callback):
            raise UsageError("a pool's events are told to plain functions", hint="start a task in the callback")
        # An object of its own, for one function may be registered twice and taken away once.
        entry = _Entry(callback)
        with self._lock:
            for one in KINDS if kind == "*" else (kind,):
                self._calls[one] = (*self._calls.get(one, ()), entry)
            self._note()
        return lambda: self._remove(entry)

    def emit(
        self,
        kind: Kind,
        at: float,
        *,
        task: str | None = None,
        worker: str | None = None,
        reason: str = "",
        error: BaseException | None = None,
        value: object = None,
    ) -> None:
        """Tell those who listen, in the order they came; one that fails is logged and disturbs nobody."""
        calls = self._calls.get(kind)
        if not calls:
            return
        event = PoolEvent(kind, at, task, worker, reason, error, value)
        for call in calls:
            try:
                call(event)
            except KeyboardInterrupt:
                raise
            except BaseException:  # SystemExit and CancelledError too would end the thread that keeps the pool
                _log.exception("a listener to %s of a pool failed", kind)

    def _remove(self, entry: _Entry) -> None:
        with self._lock:
            for kind, calls in list(self._calls.items()):
                self._calls[kind] = tuple(one for one in calls if one is not entry)
            self._note()

    def _note(self) -> None:
        self.tasks = any(calls for kind, calls in self._calls.items() if kind.startswith("task_"))
        self.workers = any(calls for kind, calls in self._calls.items() if kind.startswith("worker_"))


class _Entry:
    """One registration."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[PoolEvent], object]) -> None:
        self._callback = callback

    def __call__(self, event: PoolEvent) -> None:
        self._callback(event)
