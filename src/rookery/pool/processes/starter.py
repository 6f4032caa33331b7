"""Who starts the workers of a pool, and ends them: the nursery for functions, fork() for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.lifecycle.exit import ExitStatus
    from rookery.lifecycle.stop import StopPlan
    from rookery.pool.processes.member import Member


class RunningWorker(Protocol):
    """A worker's process; a Handle that also calls back. cookie: its ROOKERY_UNIT."""

    cookie: str

    @property
    def pid(self) -> int:
        """See Handle."""
        ...

    @property
    def start_time(self) -> int:
        """See Handle."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        ...

    @property
    def status(self) -> ExitStatus | None:
        """How it ended, None while it runs."""
        ...

    async def wait(self) -> ExitStatus:
        """See Handle."""
        ...

    def signal(self, number: int) -> bool:
        """See Handle."""
        ...

    def on_exit(self, call: Callable[[Self], object]) -> None:
        """Call it once the worker has ended, from the event loop; at once where it has."""
        ...


class Starter(Protocol):
    """Used in the pool's thread alone. why_late: what may keep a worker from being ready."""

    why_late: str

    def new_member(self, name: str) -> Member:
        """A worker that is not started yet."""
        ...

    async def start(self, member: Member) -> Any:
        """Start it; its RunningWorker. Raises RookeryError and OSError, and nothing is left then."""
        ...

    async def stop(self, handle: Any, plan: StopPlan) -> None:
        """End it, with all that it has started. Raises StopFailed."""
        ...

    async def tidy(self, handle: Any) -> None:
        """It has ended: nothing that its tasks have started outlives it. Let go of it."""
        ...

    async def close(self) -> None:
        """All workers have ended."""
        ...
