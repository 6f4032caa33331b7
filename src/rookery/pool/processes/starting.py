"""Workers that run functions: copies of the fork-server."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING

from rookery._base.clock import SystemClock
from rookery.errors import WorkerStartFailed
from rookery.pool.nursery.nursery import Nursery
from rookery.pool.processes.member import Member
from rookery.pool.values.pickling import encode_whole
from rookery.process.stop import stop, sweep

if TYPE_CHECKING:
    from rookery.lifecycle.stop import StopPlan
    from rookery.pool.nursery.nursery import WorkerHandle
    from rookery.pool.processes.engine import Engine
    from rookery.pool.processes.settings import PoolSettings

_CLOCK = SystemClock()


class NurseryStarter:
    """See Starter."""

    def __init__(self, settings: PoolSettings, engine: Engine) -> None:
        self._nursery = Nursery(preload=settings.preload, env=settings.env, name=settings.name or "pool")
        self.why_late = "its initializer takes longer" if settings.initializer else "it hangs"
        self._failed: WorkerStartFailed | None = None
        initializer = None
        if settings.initializer is not None:
            try:
                _, function = engine.book.number_of(settings.initializer)
                initializer = function, encode_whole((settings.initargs, {}))
            except Exception as error:
                why = f"the initializer cannot be pickled: {type(error).__name__}: {error}"
                self._failed = WorkerStartFailed("a worker could not start", why=why)
        # Only where it is loaded already: then who uses it here may use it in a task.
        multiprocessing = sys.modules.get("multiprocessing.process")
        authkey = bytes(multiprocessing.current_process().authkey) if multiprocessing is not None else None
        self._argument = pickle.dumps((initializer, authkey))

    def new_member(self, name: str) -> Member:
        """See Starter."""
        return Member(name)

    async def start(self, member: Member) -> WorkerHandle:
        """See Starter."""
        if self._failed is not None:
            raise self._failed
        return await self._nursery.start_worker(member.name, member.ends, self._argument)

    async def stop(self, handle: WorkerHandle, plan: StopPlan) -> None:
        """See Starter."""
        await stop(handle, handle.tree(), plan, _CLOCK)

    async def tidy(self, handle: WorkerHandle) -> None:
        """See Starter."""
        await sweep(handle.tree(), _CLOCK)
        handle.close()

    async def close(self) -> None:
        """See Starter."""
        await self._nursery.close()
