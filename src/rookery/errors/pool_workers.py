"""What can go wrong with the workers of a pool; apart from a pool's other errors, for a worker needs none of these."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor

from rookery.errors.pool import PoolError


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
            why="\n  ".join([f"{how}: {reason}" if reason else how, *stderr.splitlines()]),
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
