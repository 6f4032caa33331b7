"""How a pool is doing: the ledger that counts, and the status that is made of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from rookery._base.units import format_duration, format_size
from rookery.pool.rules.histogram import Histogram, Times

if TYPE_CHECKING:
    from collections.abc import Sequence

WorkerState = Literal["starting", "idle", "busy", "stopping"]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker. pid: None for a thread; task: label of the one it runs, for running_for seconds; None without.

    tasks: ended here; errors: how many of them failed; rss: bytes of its tree; cpu: percent of one core (None where
    unknown); uptime: seconds; restarts: how many workers held this slot before.
    """

    name: str
    state: WorkerState
    pid: int | None = None
    task: str | None = None
    running_for: float | None = None
    tasks: int = 0
    errors: int = 0
    rss: int | None = None
    cpu: float | None = None
    uptime: float = 0.0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """total: all that live, those that start or stop too; available: ready, and without a task."""

    total: int = 0
    available: int = 0
    busy: int = 0
    starting: int = 0
    stopping: int = 0


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """total = completed + failed + cancelled + queued + running. failed: timed_out too; retried: attempts."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    timed_out: int = 0
    cancelled: int = 0
    retried: int = 0
    queued: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """A pool at one moment. success_rate: 0 to 1 of what ended by itself, None when nothing has; uptime: seconds.

    wait: from submit to start; run: of every attempt that ended; utilisation: 0 to 1, busy time by worker time.
    """

    name: str
    state: str
    uptime: float
    workers: WorkerCounts
    tasks: TaskCounts
    success_rate: float | None
    utilisation: float
    wait: Times
    run: Times
    rows: tuple[WorkerStatus, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON: plain dicts, lists, numbers, strings and None."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows]}

    def __str__(self) -> str:
        """Some lines for people, and a table of the workers."""
        return "\n".join([*_head(self), *_table(self.rows)])


class Ledger:
    """Counts a pool's tasks, attempt by attempt. Not thread-safe: the pool's lock is held.

    Each attempt that began is told once, when it ends, with the seconds it waited and ran; a task that ended without
    a start (cancelled in the queue, the pool gave up) has neither. What is queued and runs is derived.
    """

    __slots__ = (
        "_alive",
        "_alive_since",
        "_began",
        "_cancelled",
        "_completed",
        "_failed",
        "_retried",
        "_run",
        "_submitted",
        "_timed_out",
        "_wait",
        "_worker_time",
    )

    def __init__(self, now: float) -> None:
        self._began = now
        self._submitted = 0
        self._completed = 0
        self._failed = 0
        self._timed_out = 0
        self._cancelled = 0
        self._retried = 0
        self._wait = Histogram()
        self._run = Histogram()
        self._alive = 0
        self._alive_since = now
        self._worker_time = 0.0

    def submitted(self, count: int = 1) -> None:
        """So many new tasks."""
        self._submitted += count

    def completed(self, wait: float, run: float) -> None:
        """A task gave its result."""
        self._completed = completed = self._completed + 1
        self._wait.append(wait)
        self._run.append(run)
        if not completed % 1024:
            self._wait.settle()
            self._run.settle()

    def completed_all(self, waits: list[float], runs: list[float]) -> None:
        """So many tasks gave their results."""
        self._completed += len(waits)
        self._wait.extend(waits)
        self._run.extend(runs)

    def came_to_nothing(self) -> None:
        """A result that was given cannot be used: the task is one that failed."""
        self._completed -= 1
        self._failed += 1

    def failed(self, wait: float | None = None, run: float | None = None) -> None:
        """A task ended with an error."""
        self._failed += 1
        self._times(wait, run)

    def timed_out(self, wait: float | None = None, run: float | None = None) -> None:
        """A task ended by its time limit; counts as failed too."""
        self._failed += 1
        self._timed_out += 1
        self._times(wait, run)

    def cancelled(self, wait: float | None = None, run: float | None = None) -> None:
        """A task was cancelled, before its start or later."""
        self._cancelled += 1
        self._times(wait, run)

    def retried(self, wait: float | None = None, run: float | None = None) -> None:
        """An attempt ended with an error, and the task waits again."""
        self._retried += 1
        self._times(wait, run)

    @property
    def pending(self) -> int:
        """Tasks that have not ended: they wait or run."""
        return self._submitted - self._completed - self._failed - self._cancelled

    def workers(self, alive: int, now: float) -> None:
        """From now on so many workers are ready; told at each change."""
        self._worker_time += self._alive * (now - self._alive_since)
        self._alive, self._alive_since = alive, now

    def status(self, now: float, *, name: str, state: str, rows: Sequence[WorkerStatus]) -> PoolStatus:
        """How things are now; rows: every worker that lives."""
        running = [row.running_for for row in rows if row.running_for is not None]
        states = [row.state for row in rows]
        ended = self._completed + self._failed
        worker_time = self._worker_time + self._alive * (now - self._alive_since)
        busy = self._run.total + sum(running)
        return PoolStatus(
            name=name,
            state=state,
            uptime=now - self._began,
            workers=WorkerCounts(
                total=len(rows),
                available=states.count("idle"),
                busy=states.count("busy"),
                starting=states.count("starting"),
                stopping=states.count("stopping"),
            ),
            tasks=TaskCounts(
                total=self._submitted,
                completed=self._completed,
                failed=self._failed,
                timed_out=self._timed_out,
                cancelled=self._cancelled,
                retried=self._retried,
                # A worker may have begun the next task before the end of the one before was read.
                queued=max(0, self.pending - len(running)),
                running=min(len(running), self.pending),
            ),
            success_rate=self._completed / ended if ended else None,
            utilisation=min(1.0, busy / worker_time) if worker_time > 0 else 0.0,
            wait=self._wait.summary(),
            run=self._run.summary(),
            rows=tuple(rows),
        )

    def _times(self, wait: float | None, run: float | None) -> None:
        if wait is not None:
            self._wait.add(wait)
        if run is not None:
            self._run.add(run)


_TITLES = ("pid", "name", "state", "task", "for", "tasks", "errors", "rss", "cpu", "uptime", "restarts")
_TO_THE_RIGHT = frozenset({"pid", "for", "tasks", "errors", "rss", "cpu", "uptime", "restarts"})
_LONGEST_TASK = 40


def _head(status: PoolStatus) -> list[str]:
    workers, tasks = status.workers, status.tasks
    rate = "-" if status.success_rate is None else f"{status.success_rate:.1%}"
    of_workers = (
        f"{workers.busy} busy, {workers.available} available, {workers.starting} starting, {workers.stopping} stopping"
    )
    of_tasks = (
        f"{tasks.completed} completed, {tasks.failed} failed of which {tasks.timed_out} timed out, "
        f"{tasks.cancelled} cancelled, {tasks.queued} queued, {tasks.running} running"
    )
    return [
        f"pool {status.name or '-'}: {status.state}, up {format_duration(status.uptime)}",
        f"workers: {workers.total} ({of_workers}), utilisation {status.utilisation:.0%}",
        f"tasks: {tasks.total} ({of_tasks}), {tasks.retried} retried, success {rate}",
        f"wait: {_times(status.wait)}",
        f"run:  {_times(status.run)}",
    ]


def _times(times: Times) -> str:
    values = (("p50", times.p50), ("p90", times.p90), ("p99", times.p99), ("mean", times.mean), ("max", times.max))
    return ", ".join(f"{name} {_seconds(value)}" for name, value in values)


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    if value < 0.01:
        return f"{value * 1e6:.0f}us" if value < 0.001 else f"{value * 1e3:.1f}ms"
    return format_duration(value)


def _table(rows: Sequence[WorkerStatus]) -> list[str]:
    if not rows:
        return []
    lines = [_TITLES, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(_padded(cells, widths)).rstrip() for cells in lines]


def _padded(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    return [
        cell.rjust(width) if title in _TO_THE_RIGHT else cell.ljust(width)
        for title, cell, width in zip(_TITLES, cells, widths, strict=True)
    ]


def _cells(row: WorkerStatus) -> tuple[str, ...]:
    task = row.task or "-"
    return (
        "-" if row.pid is None else str(row.pid),
        row.name,
        row.state,
        task if len(task) <= _LONGEST_TASK else f"{task[: _LONGEST_TASK - 1]}…",
        "-" if row.running_for is None else format_duration(row.running_for),
        str(row.tasks),
        str(row.errors),
        "-" if row.rss is None else format_size(row.rss),
        "-" if row.cpu is None else f"{row.cpu:.0f}%",
        format_duration(row.uptime),
        str(row.restarts),
    )
