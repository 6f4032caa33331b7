"""One task on its way: queued, at a worker, done."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.pool.calls import TaskOptions
    from rookery.pool.future import LoopFuture, PoolFuture
    from rookery.pool.processes.member import Member
    from rookery.pool.segments.lender import Loan


class Task:
    """Guarded by the engine's lock.

    call: the function (or the name); function, definition: its number and pickle; payload: what follows the header of
    its packet; loan: the segment that holds the payload, or None; parts: a copy of what is in the segment, where it may
    be wanted again; member: the worker it was sent to, None while it waits; was_defined: whether it took the function
    along; settled: whether its future has its result, or is about to; is_counted: whether it is in the accounts.
    """

    flags = 0
    loan: Loan | None = None
    parts: list[bytes] | None = None
    member: Member | None = None
    was_defined = False
    settled = False
    is_counted = False
    attempts = 1

    def __init__(
        self,
        number: int,
        function: int,
        definition: bytes,
        payload: bytes,
        options: TaskOptions,
        future: PoolFuture[Any] | LoopFuture[Any],
        call: Callable[..., Any] | str,
    ) -> None:
        self.number = number
        self.function = function
        self.definition = definition
        self.payload = payload
        self.options = options
        self.priority = options.priority
        self.future = future
        self.call = call
        self.queued_at = monotonic()

    @property
    def label(self) -> str:
        """What its options say, else the name of its function."""
        return self.options.label or name_of(self.call)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.label} (number {self.number})"


def name_of(function: Callable[..., Any] | str) -> str:
    """What a task of that function, or of that name, is called in status, events and errors."""
    if isinstance(function, str):
        return function
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type(function).__qualname__
