"""What the engine of a process pool asks of who keeps house."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rookery.pool.future import LoopFuture, PoolFuture
    from rookery.pool.processes.member import Member
    from rookery.pool.processes.one_task import Task


class Hooks:
    """What the engine asks of who keeps house; each may be called under the lock and from any thread, and is quick."""

    def wants_workers(self) -> None:
        """Tasks wait, or a worker is to be replaced: look at how many there should be."""

    def wants_looks(self) -> None:
        """A worker idles while another one has tasks ahead, or a task with a limit was sent: look again soon."""

    def is_ready(self, member: Member) -> None:
        """A worker has started, or failed to (start_error)."""

    def is_garbled(self, member: Member) -> None:
        """What comes from a worker is no answer: a task has written into its connection."""

    def is_spent(self, member: Member) -> None:
        """A worker retires and has done all that it was given."""

    def wants_settling(self) -> None:
        """Call settle(): some of what came in runs code of others, and this is a place where that must not run."""

    def takes_over(self, future: PoolFuture[Any] | LoopFuture[Any]) -> None:
        """A task of this kind of caller was submitted: see that somebody reads the answers."""

    def is_drained(self) -> None:
        """Nothing waits or runs."""

    def may_wait(self) -> bool:
        """Whether this thread may be held up until there is room in the queue."""
        return True

    def wants_end(self, member: Member, task: Task) -> None:
        """Nobody wants the task that a worker is at any more."""

    def has_deadline(self) -> None:
        """One is due earlier than any other before."""
