"""ProcessPool: tasks in other processes."""

from __future__ import annotations

import asyncio
import importlib
import weakref
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from rookery.errors import UsageError
from rookery.lifecycle.stop import GRACE_POOL_WORKER
from rookery.pool.calls import TaskOptions
from rookery.pool.processes.house import House
from rookery.pool.processes.process_calls import ProcessCalls
from rookery.pool.processes.settings import PoolSettings
from rookery.pool.scripts.settings import ScriptSettings

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from rookery.pool.rules.events import Kind, PoolEvent
    from rookery.pool.rules.status import PoolStatus
    from rookery.pool.scripts.house import ScriptHouse
    from rookery.pool.scripts.member import WorkerOutput
    from rookery.pool.scripts.settings import ScriptOptions

_CLOSE_LOOK = 0.01


class ProcessPool(ProcessCalls, Executor):
    """Runs tasks in worker processes; a concurrent.futures.Executor, and the same for asyncio.

    A worker that dies fails the task that it was at, and no other; it is replaced, and the pool is never broken.
    Thread-safe, and for several event loops. In a forked copy of the process it is empty and starts workers of its own.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        min_workers: int = 2,
        idle_timeout: float | None = 300.0,
        max_tasks_per_worker: int | Literal["auto"] | None = "auto",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        preload: Sequence[str] = (),
        start_timeout: float = 10.0,
        task_timeout: float | None = None,
        retries: int = 0,
        max_queue: int | None = None,
        when_full: Literal["wait", "raise"] = "wait",
        soft_memory: int | str | None = None,
        max_memory: int | str | None = None,
        max_errors: int | None = 5,
        graceful_timeout: float = GRACE_POOL_WORKER,
        env: Mapping[str, str | None] | None = None,
        name: str = "",
        script: str | os.PathLike[str] | None = None,
        **how: Unpack[ScriptOptions],
    ) -> None:
        """Start min_workers now, and more of them up to max_workers when tasks wait.

        max_workers: as many as this process may use CPUs (affinity, cgroup quota). idle_timeout: seconds after which
        a worker beyond min_workers that has nothing to do leaves. max_tasks_per_worker: after so many it is replaced;
        "auto": after 1000, once it has lived for 5 seconds; None: never.
        initializer(*initargs): called in each worker before its first task; when it fails the worker does not start.
        preload: modules that are imported once, before workers are copied from that process. start_timeout: seconds for
        a worker to be ready. task_timeout, retries: of each task, unless options() says otherwise. max_queue: so many
        tasks may wait; when_full: then submit waits, or raises PoolFull. soft_memory, max_memory: bytes or "300M" of
        a worker with all that it has started: above the first it is replaced after its task, above the second it is
        killed. max_errors: more failed tasks in a row and the worker is replaced. graceful_timeout: seconds to end in.
        env: changes of the workers' environment, None removes. name: shown in status, events and ps.

        script: a Python file or a Node script whose tasks are asked for by name, ``pool.submit("resize", data)``.
        protocol: "rookery", or "plain" where it gets the data as a message and answers with one: ``pool.submit(data)``.
        script_args, interpreter, interpreter_args: how it is started.

        Raises UsageError and ValueError for settings that make no sense.
        """
        given: dict[str, Any] = {} if script is None else {"script": script, **how}
        if how and script is None:
            raise UsageError(f"{', '.join(how)} without a script", hint="name it: script='worker.py'")
        settings = (PoolSettings if script is None else ScriptSettings)(
            max_workers=max_workers,
            min_workers=min_workers,
            idle_timeout=idle_timeout,
            max_tasks_per_worker=max_tasks_per_worker,
            initializer=initializer,
            initargs=initargs,
            preload=preload,
            start_timeout=start_timeout,
            max_queue=max_queue,
            when_full=when_full,
            soft_memory=soft_memory,
            max_memory=max_memory,
            max_errors=max_errors,
            graceful_timeout=graceful_timeout,
            env=env,
            name=name,
            **given,
        )
        options = TaskOptions(timeout=task_timeout, retries=retries)
        self._house = house = _house(settings)
        ProcessCalls.__init__(self, house.engine, options)
        # Who forgets a pool without closing it gets what he has asked for, and then its processes go.
        weakref.finalize(self, _shut, weakref.ref(house)).atexit = False
        if settings.min_workers:
            house.begin()

    def __repr__(self) -> str:
        settings = self._house.settings
        return f"<ProcessPool {settings.name or hex(id(self))} {settings.min_workers} to {settings.most} workers>"

    # -- looking ------------------------------------------------------------------------------------------------------

    def status(self) -> PoolStatus:
        """Workers, tasks, times and a row for each worker, as they are now. No worker is asked or disturbed."""
        return self._house.status()

    def on(self, kind: Kind | Literal["*"], callback: Callable[[PoolEvent], object]) -> Callable[[], None]:
        """Call back with each event of that kind ("*": all); returns what ends this.

        The callback runs in the thread where it happens, which may be the pool's, and must be quick.
        """
        return self._house.listeners.on(kind, callback)

    def output(self, worker: str) -> WorkerOutput:
        """What the script worker of that name (see status) has printed: the last of it, also when it has ended.

        Raises UsageError for an unknown name, and where the workers run functions: those print where the pool does.
        """
        return self._scripts.output(worker)

    def ask_status(self, timeout: float = 1.0) -> dict[str, Any]:
        """Ask each script worker how it is: its answer by its name, None where it did not answer in so many seconds.

        Raises UsageError where the workers run functions, or speak the plain protocol.
        """
        return self._scripts.ask(timeout).result()

    async def asked_status(self, timeout: float = 1.0) -> dict[str, Any]:  # noqa: ASYNC109 - not of this call
        """As ask_status, for an event loop."""
        return await asyncio.wrap_future(self._scripts.ask(timeout))

    @property
    def _scripts(self) -> ScriptHouse:
        house: Any = self._house
        if not isinstance(house.settings, ScriptSettings):
            raise UsageError("this is for workers that run a script", hint="ProcessPool(script='worker.py')")
        return house  # type: ignore[no-any-return]

    # -- more and fewer -----------------------------------------------------------------------------------------------

    def grow(self, count: int = 1) -> None:
        """Start so many more workers now, max_workers at most in all, without waiting for tasks."""
        self._house.grow(count)

    def resize(self, min_workers: int, max_workers: int) -> None:
        """Other bounds from now on; workers that are too many leave after their task."""
        self._house.resize(min_workers, max_workers)

    # -- ending -------------------------------------------------------------------------------------------------------

    def drain(self, timeout: float | None = None) -> bool:
        """Wait until every task that was submitted is done; False when that takes more than timeout seconds."""
        return self._house.drain(timeout)

    async def drained(self) -> None:
        """Wait until every task that was submitted is done."""
        await self._house.drained()

    def shutdown(
        self,
        wait: bool = True,
        *,
        cancel_futures: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Take no more tasks, do those that were taken on, and end the workers.

        wait: until nothing is left. cancel_futures: what has not begun is cancelled. timeout: seconds after which what
        still runs is killed, as by terminate(). Every future is settled in each case.
        """
        self._house.shut(cancel_futures=cancel_futures)
        if wait and not self._house.join(timeout):
            self.terminate()
            self._house.join()

    def terminate(self) -> None:
        """End now: what waits is cancelled, what runs is killed and fails with PoolClosed; shutdown() waits for it."""
        self._house.terminate()

    async def aclose(self, *, cancel_futures: bool = False, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """As shutdown, for an event loop. Cancelled, it terminates the pool and waits until nothing is left."""
        self._house.shut(cancel_futures=cancel_futures)
        try:
            async with asyncio.timeout(timeout):
                await self._house.closed()
        except (TimeoutError, asyncio.CancelledError) as error:
            self.terminate()
            await self._house.closed()
            if isinstance(error, asyncio.CancelledError):
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        self.shutdown(wait=True)
        return False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _house(settings: PoolSettings) -> House:
    if not isinstance(settings, ScriptSettings):
        return House(settings)
    # Imported by name: channels are for scripts alone.
    house: House = importlib.import_module("rookery.pool.scripts.house").ScriptHouse(settings)
    return house


def _shut(house: weakref.ref[House]) -> None:
    found = house()  # its thread holds it while there is one; a root to it here would hold what leads back to the pool
    if found is not None:
        found.shut()
