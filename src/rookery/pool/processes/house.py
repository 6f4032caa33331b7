"""A process pool's inside: the engine and the thread, how they are waited for, looked at and ended."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery.errors import PoolClosed, UsageError
from rookery.pool.future import PoolFuture
from rookery.pool.processes.keeping import Keeping
from rookery.pool.rules.status import PoolStatus, WorkerStatus

if TYPE_CHECKING:
    from rookery.pool.processes.crew import Crew
    from rookery.pool.processes.member import Member
    from rookery.pool.processes.settings import PoolSettings
    from rookery.pool.processes.watch import Watch

_SHUT_DOWN = "cannot schedule new futures after shutdown"


class House(Keeping):
    """Thread-safe. In a forked copy of the process it begins anew, empty."""

    def __init__(self, settings: PoolSettings) -> None:
        super().__init__(settings)
        _ALL.add(self)

    def drain(self, timeout: float | None = None) -> bool:
        """Wait until nothing waits or runs; False when the time is over before."""
        if not self.may_wait():
            raise UsageError("this would wait for itself", hint="a callback of the pool's is to be quick")
        with self.engine.lock:
            self._read_for_all()
            return self._drained.wait_for(lambda: self.engine.is_drained, timeout)

    def _read_for_all(self) -> None:
        if self._drivers is not None:
            self._drivers.to_thread()

    async def closed(self) -> None:
        """Wait until nothing of the pool is left."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        with self.engine.lock:
            if self._thread is None or self.is_closed.is_set():
                return
            self._closed_calls.append(lambda: _wake(loop, done))
        await done.wait()
        self.join()  # it has only its last lines left

    async def drained(self) -> None:
        """The same, for an event loop."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        with self.engine.lock:
            if self.engine.is_drained:
                return
            self._read_for_all()
            self._drained_calls.append(lambda: _wake(loop, done))
        await done.wait()

    def resize(self, min_workers: int, max_workers: int) -> None:
        """Other bounds from now on."""
        with self.engine.lock:
            self.settings.resize(min_workers, max_workers)
            self.engine.max_workers = max_workers
        self.wants_workers()

    def grow(self, count: int) -> None:
        """Start so many workers more, up to the maximum."""
        self.begin()

        def ask(crew: Crew, _: Watch) -> None:
            crew.asked += count
            crew.size()

        self._call("", ask)

    def shut(self, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; end when all that was taken on is done. Returns at once."""
        engine = self.engine
        with engine.lock:
            was_open = not engine.closed
            engine.closed = engine.closed or _SHUT_DOWN
            engine.room.notify_all()
            self._read_for_all()
            thread = self._thread
        if cancel_futures:
            self._cancel_all()
        if thread is None:
            self.is_closed.set()
        elif was_open:
            self._call("", self._end_when_drained)

    def _end_when_drained(self, crew: Crew, _: Watch) -> None:
        crew.is_closing = True
        with self.engine.lock:
            if not self.engine.is_drained:
                self._drained_calls.append(lambda: self._call("", lambda *_: self._end.set()))
                crew.size()
                return
        self._end.set()

    def terminate(self) -> None:
        """End now: what waits is cancelled, what runs is killed and told so. Returns at once."""
        self.shut(cancel_futures=True)

        def kill(crew: Crew, _: Watch) -> None:
            crew.is_terminated = True
            crew.cancel_all = self._cancel_all
            for member in list(crew.members.values()):
                member.killed_for = member.killed_for or PoolClosed(
                    "the pool was terminated in the middle of this task"
                )
                member.retires = member.retires or "the pool was terminated"
                crew.spawn(crew.kill(member))
            self._cancel_all()

        self._call("", kill)

    def join(self, timeout: float | None = None) -> bool:
        """Wait until nothing of the pool is left; False when the time is over before."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        if thread.is_alive():
            return False
        self._thread = None  # not kept until the collector comes to us
        return True

    def status(self) -> PoolStatus:
        """How things are now."""
        engine, crew = self.engine, self._crew
        now = monotonic()
        members = list(crew.members.values()) if crew is not None else []
        usage = self._usage.of(members)
        with engine.lock:
            rows = [self._row(one, now, usage[one.name].memory, usage[one.name].cpu) for one in members]
            state = "closed" if self.is_closed.is_set() else "closing" if engine.closed else "open"
            return engine.ledger.status(now, name=self.settings.name, state=state, rows=rows)

    def _row(self, member: Member, now: float, memory: int, cpu: float | None) -> WorkerStatus:
        number, began = member.at_work() if member.is_open else (0, 0.0)
        task = member.sent.get(number)
        leaves = bool(member.retires)
        return WorkerStatus(
            name=member.name,
            state="starting" if not member.is_ready else "busy" if task else "stopping" if leaves else "idle",
            pid=member.pid or None,
            task=None if task is None else task.label,
            running_for=None if task is None else now - began,
            tasks=member.done,
            errors=member.errors,
            rss=memory or None,
            cpu=cpu,
            uptime=now - member.created_at,
            restarts=0 if self._crew is None else self._crew.replaced.get(member.slot, 0),
        )

    def _give_up_futures(self) -> None:
        """Nobody will tell a copy what the parent's tasks come to."""
        engine = self.engine
        error = PoolClosed("the task belongs to the process that this one was forked from")
        tasks = [*engine.queue, *(task for member in engine.ready for task in list(member.sent.values()))]
        for task in tasks:
            if isinstance(task.future, PoolFuture) and not task.settled:
                _forget(task.future, error)

    def leave_to_parent(self) -> None:
        """The workers, the thread and all connections are the parent's: let go of our copies, and begin anew."""
        crew = self._crew
        # Never closed here: its epoll is the parent's too, and what is taken out of it would be so for both.
        _NOT_OURS.append(self._loop)
        for member in list(crew.members.values()) if crew is not None else ():
            member.leave_to_parent()
        was_closed = self.engine.closed
        self._give_up_futures()
        self._begin_anew()
        self.engine.closed = was_closed


def _forget(future: PoolFuture[Any], error: BaseException) -> None:
    # In a forked copy its lock may be held by a thread that is not there, and its callbacks are the parent's affair.
    future._lazy = None  # noqa: SLF001
    future.settle(None, error)


def _wake(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(done.set)
    except RuntimeError:  # closed
        return


_ALL: weakref.WeakSet[House] = weakref.WeakSet()
_NOT_OURS: list[object] = []


def _leave_all_to_parent() -> None:
    for house in list(_ALL):
        house.leave_to_parent()


def _finish_all() -> None:
    """At the interpreter's end what was submitted is done, as with any Executor."""
    houses = list(_ALL)
    for house in houses:
        house.shut()
    for house in houses:
        house.join()


os.register_at_fork(after_in_child=_leave_all_to_parent)
atexit.register(_finish_all)
