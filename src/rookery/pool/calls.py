"""How tasks are given to a pool, the same for processes and threads: submit, run, map, and the options of a task."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeVar

from rookery.errors import UsageError
from rookery.pool.future import Canceller, LoopFuture, PoolFuture
from rookery.pool.map import Chunks, Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """timeout: seconds from the task's beginning; deadline: seconds from its submission, waiting included; priority:
    the larger the sooner; retries: how often it is tried again, whatever it failed by; label: its name in status,
    events and errors (default: the function's).
    """

    timeout: float | None = None
    deadline: float | None = None
    priority: int = 0
    retries: int = 0
    on_progress: Callable[[Any], object] | None = None
    label: str = ""

    def __post_init__(self) -> None:
        for name in ("timeout", "deadline"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} is to be more than 0 seconds, not {value!r}", hint="None is without limit")
        if self.retries < 0:
            raise UsageError(f"retries is to be 0 or more, not {self.retries!r}")


class Pooled(Canceller, Chunks, Protocol):
    """A pool's inside, as it is seen from here."""

    def enqueue(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: TaskOptions,
        future: PoolFuture[Any] | LoopFuture[Any],
    ) -> None:
        """Take a task on: sets future.task, and settles the future in time. Raises PoolClosed and PoolFull."""
        ...

    @property
    def breadth(self) -> int:
        """How many tasks may run at once."""
        ...


class Calls:
    """Gives tasks to a pool, all with the same options. Thread-safe."""

    def __init__(self, pool: Pooled, options: TaskOptions) -> None:
        self._pool = pool
        self._options = options
        self._of: Calls | None = None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> PoolFuture[T]:
        """Let a worker call ``fn(*args, **kwargs)``; the future has the result, or what it raised.

        To a process function and arguments go as they are now: what is changed afterwards, the task does not see; where
        they cannot be pickled the future says so. A thread gets the objects themselves. Raises PoolClosed, and PoolFull
        where the pool was made so.
        """
        future: PoolFuture[T] = PoolFuture(self._pool)
        self._pool.enqueue(fn, args, kwargs, self._options, future)
        return future

    def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """As submit, for the running event loop: ``result = await pool.run(fn, 1)``.

        Cancelling what awaits it ends the task also where it runs in a process; in a thread it goes on, with its result
        dropped. Raises PoolClosed and PoolFull.
        """
        loop = asyncio.get_running_loop()
        future: LoopFuture[T] = LoopFuture(loop=loop)
        future.pool, future.home, future.task = self._pool, loop, None
        self._pool.enqueue(fn, args, kwargs, self._options, future)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | Literal["auto"] = 1,
        ordered: bool = True,
        return_exceptions: bool = False,
        progress: bool | str = False,
        buffersize: int | None = None,
    ) -> Results[T]:
        """Call fn with the items of the iterables, many at once; iterate the results with ``for`` or ``async for``.

        timeout: seconds from now within which each result must have come, else TimeoutError. chunksize: so many items
        are one task ("auto": a good number where the length is known); a time limit counts per item. ordered: in the
        order of the items, else as they are done. return_exceptions: an item's error is its result; without, it is
        raised in its turn, and what has not begun is cancelled. progress: draw a bar on stderr (a text is its title).
        buffersize: take so many items at most before results are asked for; None takes all at once.
        """
        return Results(
            self,
            self._pool,
            self._options,
            fn,
            iterables,
            timeout=timeout,
            chunksize=chunksize,
            ordered=ordered,
            return_exceptions=return_exceptions,
            progress=progress,
            buffersize=buffersize,
        )

    def options(self, **changes: Any) -> Calls:
        """The same pool with other options for the tasks given through what is returned: see TaskOptions.

        ``pool.options(timeout=5, priority=1).submit(fn)``
        """
        try:
            calls = self._with(replace(self._options, **changes))
        except TypeError:
            known = TaskOptions.__dataclass_fields__
            unknown = ", ".join(name for name in changes if name not in known)
            raise UsageError(f"a task has no option {unknown}", hint=f"one of: {', '.join(known)}") from None
        calls._of = self  # noqa: SLF001 - a pool that is still used this way is not one that was forgotten
        return calls

    def _with(self, options: TaskOptions) -> Calls:
        return Calls(self._pool, options)
