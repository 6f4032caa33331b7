"""What can go wrong with a pool and its tasks.

An exception that a task raised is given back as it is, with the worker's traceback as its cause; these are for what
happens around it.
"""

from __future__ import annotations

from concurrent.futures import BrokenExecutor
from pickle import PicklingError

from rookery.errors.base import RookeryError


class PoolError(RookeryError):
    """A pool could not do what it was asked for."""


class PoolClosed(PoolError, RuntimeError):
    """The pool was shut down: it takes no tasks any more, or ended before this one was done."""


class PoolFull(PoolError):
    """As many tasks wait as may (max_queue). limit: how many."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"{limit} tasks wait already",
            why="that is max_queue",
            hint="wait a while, or use when_full='wait'",
        )

    def __reduce__(self) -> tuple[type[PoolFull], tuple[int]]:
        return type(self), (self.limit,)


class TaskTimeout(PoolError, TimeoutError):
    """A task was ended because its time was over. task: its name; after: seconds."""

    def __init__(self, task: str, after: float, *, why: str = "") -> None:
        self.task = task
        self.after = after
        super().__init__(f"task {task} was not done within {after:g} s", why=why)

    def __reduce__(self) -> tuple[type[TaskTimeout], tuple[str, float]]:
        return type(self), (self.task, self.after)


class WorkerDied(PoolError, BrokenExecutor):
    """The worker ended in the middle of this task; the other tasks go on.

    It is a BrokenExecutor for programs that look for one; the pool is not broken.

    task: its name; pid; code: its exit code, or None; signal: the name of the signal that ended it, or None; reason:
    what is known besides ("memory"), or ""; stderr: its last lines, or "".
    """

    def __init__(
        self,
        task: str,
        pid: int,
        *,
        code: int | None = None,
        signal: str | None = None,
        reason: str = "",
        stderr: str = "",
    ) -> None:
        self.task = task
        self.pid = pid
        self.code = code
        self.signal = signal
        self.reason = reason
        self.stderr = stderr
        how = f"it was ended by {signal}" if signal else f"it exited with {code}" if code is not None else "it is gone"
        super().__init__(
            f"the worker (pid {pid}) died in the middle of task {task}",
            why=f"{how}: {reason}" if reason else how,
            hint="" if reason else "a task that may safely run twice can be tried again: options(retries=1)",
        )

    def __reduce__(self) -> tuple[object, ...]:
        state = {**self.__dict__}
        return _rebuilt, (type(self), self.task, self.pid, state)


def _rebuilt(kind: type[WorkerDied], task: str, pid: int, state: dict[str, object]) -> WorkerDied:
    error = kind(task, pid)
    error.__init__(  # type: ignore[misc]
        task, pid, **{key: state[key] for key in ("code", "signal", "reason", "stderr")}
    )
    return error


class WorkerStartFailed(PoolError, BrokenExecutor):
    """No worker can be started, so that nothing would ever run this task."""


class TaskNotSent(PoolError, PicklingError):
    """The function or its arguments cannot be given to a worker: they cannot be pickled here, or unpickled there."""


class ResultNotSent(PoolError, PicklingError):
    """The task was done, and its result cannot be given back: it cannot be pickled there, or unpickled here."""
