"""A pool of threads."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from rookery.errors import UsageError
from rookery.pool.calls import Calls, TaskOptions
from rookery.pool.threads.engine import ThreadEngine
from rookery.pool.threads.settings import ThreadSettings, check_size, usual_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from rookery.pool.rules.events import Kind, PoolEvent
    from rookery.pool.rules.status import PoolStatus

P = ParamSpec("P")
T = TypeVar("T")

_numbers = itertools.count(1)


class ThreadPool(Calls, Executor):
    """Threads that do tasks: a concurrent.futures.Executor, and the same for asyncio.

    max_workers: at most so many threads (CPUs + 4, at most 32); min_workers: so many stay when there is nothing to do
    (2); idle_timeout: seconds after which the others leave, None: they stay. max_tasks_per_worker: after so many a
    thread is replaced; max_errors: after more than so many failed tasks in a row too; None: never.
    initializer(*initargs) is called in each thread first, and has start_timeout seconds.
    task_timeout: seconds a task may run; retries: how often one that failed is tried again, whatever it failed by; both
    are for tasks whose options say nothing else. max_queue: so many tasks may wait for a thread; when_full "wait": then
    submit() waits too (run() does not: who awaits it waits anyway), "raise": both raise PoolFull.

    A thread cannot be ended. A task whose time is over fails at once; its thread is given up and replaced, what it
    brings later is dropped, and the interpreter's end does not wait for it. At most max_workers are given up and
    replaced in this way, then new threads are started only as old ones return; status() tells.
    The context variables of the caller are seen in the task. On a free-threaded Python tasks run in parallel; else
    one at a time, but for what they wait for and what releases the interpreter's lock.

    Safe for any number of threads and event loops. ``with`` and ``async with`` end with shutdown(); a pool that nobody
    has any more does what it was given, and its threads leave. A forked copy is empty, and works. Raises
    UsageError, ValueError and TypeError for settings that make no sense.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        min_workers: int = 2,
        idle_timeout: float | None = 300.0,
        max_tasks_per_worker: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Sequence[Any] = (),
        start_timeout: float = 10.0,
        task_timeout: float | None = None,
        retries: int = 0,
        max_queue: int | None = None,
        when_full: Literal["wait", "raise"] = "wait",
        max_errors: int | None = 5,
        name: str = "",
    ) -> None:
        most = usual_size() if max_workers is None else max_workers
        settings = ThreadSettings(
            name=name or f"rookery-threads-{next(_numbers)}",
            max_workers=most,
            min_workers=check_size(min_workers, most),
            idle_timeout=idle_timeout,
            max_tasks_per_worker=max_tasks_per_worker,
            initializer=initializer,
            initargs=tuple(initargs),
            start_timeout=start_timeout,
            max_queue=max_queue,
            when_full=when_full,
            max_errors=max_errors,
        )
        self.name = settings.name
        self._engine = ThreadEngine(settings)
        Calls.__init__(self, self._engine, TaskOptions(timeout=task_timeout, retries=retries))
        weakref.finalize(self, self._engine.forgotten).atexit = False

    def __repr__(self) -> str:
        status = self.status()
        workers, tasks = status.workers, status.tasks
        return (
            f"<ThreadPool {self.name!r} {status.state}: {workers.total} threads, "
            f"{tasks.running} running, {tasks.queued} queued>"
        )

    # -- what it is, and how it does ----------------------------------------------------------------------------------

    def status(self) -> PoolStatus:
        """Threads, tasks and times as they are now."""
        return self._engine.status()

    def on(self, kind: Kind | Literal["*"], callback: Callable[[PoolEvent], object]) -> Callable[[], None]:
        """Call back with every event of that kind, or of all ("*"); returns what ends this. See PoolEvent.

        The callback runs in the thread where it happens, and must be quick.
        """
        return self._engine.listeners.on(kind, callback)

    def resize(self, min_workers: int, max_workers: int) -> None:
        """Other limits from now on. Threads that are too many leave after their task. Raises UsageError."""
        least = check_size(min_workers, max_workers)
        self._engine.resize(least, max_workers)

    def grow(self, count: int = 1) -> None:
        """Start so many more threads now, up to max_workers; those that stay idle leave again. Raises UsageError."""
        if count < 1:
            raise UsageError(f"count is to be at least 1, not {count!r}")
        self._engine.grow(count)

    # -- the end ------------------------------------------------------------------------------------------------------

    def drain(self, timeout: float | None = None) -> bool:
        """Wait until no task waits or runs; False when that took longer than timeout seconds. Raises PoolError."""
        return self._engine.drain(timeout)

    async def drained(self) -> None:
        """The same for an event loop."""
        await self._engine.drained()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False, timeout: float | None = None) -> None:
        """Take no more tasks. What was given is done, unless cancel_futures: then what has not begun is cancelled.

        wait: until all is done; timeout: seconds, then terminate(). Every future is settled in the end. Raises
        PoolError where a task of the pool would wait for itself.
        """
        self._engine.close(cancel=cancel_futures)
        if wait and not self._engine.wait_ended(timeout):
            self.terminate()
            self._engine.wait_ended(None)

    def terminate(self) -> None:
        """End now: what waits is cancelled, what runs fails with PoolClosed, and its threads are given up."""
        self._engine.terminate()

    async def aclose(
        self,
        *,
        cancel_futures: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - what is left then is given up
    ) -> None:
        """As shutdown, while the event loop goes on. Who is cancelled meanwhile ends it with terminate()."""
        self._engine.close(cancel=cancel_futures)
        try:
            async with asyncio.timeout(timeout):
                await self._engine.ended()
        except BaseException as error:
            self.terminate()
            await self._engine.ended()
            if not isinstance(error, TimeoutError):
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self.shutdown()
        return False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
