"""One task of a thread pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rookery.pool.processes.one_task import name_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from rookery.pool.calls import TaskOptions
    from rookery.pool.future import LoopFuture, PoolFuture
    from rookery.pool.threads.loops import LoopReplies
    from rookery.pool.threads.member import Member


class ThreadTask:
    """submitted, queued, began: monotonic seconds; queued anew for each retry. member: who runs it, or None.

    replies: where the future is told, None for one of no loop; tries: how many are left after this one.
    """

    __slots__ = (
        "args",
        "began",
        "context",
        "function",
        "future",
        "is_limited",
        "kwargs",
        "member",
        "options",
        "priority",
        "queued",
        "replies",
        "submitted",
        "tries",
    )

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: TaskOptions,
        future: PoolFuture[Any] | LoopFuture[Any],
        replies: LoopReplies | None,
        context: Context,
        now: float,
    ) -> None:
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.options = options
        self.priority = options.priority
        self.future = future
        self.replies = replies
        self.context = context
        self.submitted = self.queued = self.began = now
        self.member: Member | None = None
        self.tries = options.retries
        self.is_limited = options.timeout is not None or options.deadline is not None

    @property
    def label(self) -> str:
        """Its name for people."""
        return self.options.label or name_of(self.function)

    @property
    def due(self) -> float | None:
        """When its time is over, now that it has begun."""
        options = self.options
        ends = [] if options.timeout is None else [self.began + options.timeout]
        if options.deadline is not None:
            ends.append(self.submitted + options.deadline)
        return min(ends, default=None)

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Give the future its result; without the pool's lock, for callbacks may run."""
        if self.replies is None:
            self.future.settle(value, error)
        else:
            self.replies.put(self.future.settle, value, error)

    def cancel(self) -> None:
        """Tell the future that it will not be done; without the pool's lock."""
        if self.replies is None:
            self.future.settle_cancelled()
        else:
            self.replies.put(_cancelled, self.future, None)


def _cancelled(future: LoopFuture[Any], _: None) -> None:
    future.settle_cancelled()
