"""What can go wrong with a pool and its tasks.

An exception that a task raised is given back as it is, with the worker's traceback as its cause; these are for what
happens around it.
"""

from __future__ import annotations

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


class TaskNotSent(PoolError, PicklingError):
    """The function or its arguments cannot be given to a worker: they cannot be pickled here, or unpickled there."""


class ResultNotSent(PoolError, PicklingError):
    """The task was done, and its result cannot be given back: it cannot be pickled there, or unpickled here."""
