"""The thread of a process pool, in which everything that takes time is done, and what the engine asks of it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery.errors import PoolClosed, WorkerStartFailed
from rookery.pool.processes.crew import Crew
from rookery.pool.processes.drivers import Drivers
from rookery.pool.processes.engine import Engine
from rookery.pool.processes.hooks import Hooks
from rookery.pool.processes.interrupts import NoInterrupts
from rookery.pool.processes.starting import NurseryStarter
from rookery.pool.processes.watch import UsageOfWorkers, Watch
from rookery.pool.rules.events import Listeners
from rookery.pool.rules.status import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.pool.future import LoopFuture, PoolFuture
    from rookery.pool.processes.member import Member
    from rookery.pool.processes.one_task import Task
    from rookery.pool.processes.settings import PoolSettings
    from rookery.pool.processes.starter import Starter

_log = logging.getLogger("rookery.pool")
_LOOPS_OWN = 3
"""The descriptors of an event loop."""


class Keeping(Hooks):
    """State and thread of a pool's inside; see House."""

    engine_type: type[Engine] = Engine

    def __init__(self, settings: PoolSettings) -> None:
        self.settings = settings
        self.listeners = Listeners()
        self.engine = self.engine_type.__new__(self.engine_type)
        self._begin_anew()

    def _begin_anew(self) -> None:
        settings = self.settings
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drivers: Drivers | None = None
        self._crew: Crew | None = None
        self._watch: Watch | None = None
        self._usage = UsageOfWorkers()
        self._asked: set[str] = set()
        self._drained_calls: list[Callable[[], object]] = []
        self._closed_calls: list[Callable[[], object]] = []
        self.is_closed = threading.Event()
        # In place: futures and options of before a fork refer to it.
        self.engine.__init__(  # type: ignore[misc]
            Ledger(monotonic()),
            self.listeners,
            self,
            max_workers=settings.most,
            max_tasks_per_worker=settings.max_tasks_per_worker,
            max_errors=settings.max_errors,
            max_queue=settings.max_queue,
            when_full=settings.when_full,
        )
        self._drained = threading.Condition(self.engine.lock)

    def _new_drivers(self, loop: asyncio.AbstractEventLoop) -> Drivers:
        return Drivers(self.engine, loop)

    def _new_starter(self) -> Starter:
        return NurseryStarter(self.settings, self.engine)

    def begin(self) -> None:
        """Start the thread, and with it the workers that are to be there always."""
        with NoInterrupts(), self.engine.lock:
            if self._thread is not None or self.engine.closed:
                return
            try:
                with ExitStack() as needed:  # a loop that lacks one of them would be left half made
                    for _ in range(_LOOPS_OWN):
                        needed.callback(os.close, os.open(os.devnull, os.O_RDONLY))
                self._loop = asyncio.new_event_loop()
            except OSError as error:
                raise WorkerStartFailed("the pool's thread cannot be started", why=str(error)) from error
            self._drivers = self._new_drivers(self._loop)
            self._thread = threading.Thread(target=self._run, name="rookery-pool", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:
                self._loop.close()
                self._thread = self._loop = self._drivers = None
                raise WorkerStartFailed("the pool's thread cannot be started", why=str(error)) from error

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._keep_house())
        except BaseException as error:  # never meant to be; but nobody is to wait for ever
            _log.exception("the pool's thread has failed")
            self._fall(error)
        finally:
            asyncio.set_event_loop(None)
            loop.close()
            self.engine.lender.close()
            with self.engine.lock:
                self.is_closed.set()
            for call in self._closed_calls:
                call()

    def _fall(self, error: BaseException) -> None:
        engine = self.engine
        with engine.lock:
            engine.closed = f"the pool has failed: {error!r}"
            engine.room.notify_all()
            members = self._crew.members.values() if self._crew is not None else ()
            for task in (*engine.queue.drain(), *(task for member in members for task in member.sent.values())):
                if not task.settled:
                    engine.fail(task, PoolClosed(engine.closed))
        engine.settle()

    async def _keep_house(self) -> None:
        assert self._loop is not None
        assert self._drivers is not None
        self._crew = crew = Crew(self.settings, self.engine, self._drivers, self._new_starter())
        self._watch = Watch(self.engine, crew, self._loop, crew.spawn)
        self._end = asyncio.Event()
        crew.size()
        try:
            await self._end.wait()
        finally:
            self._watch.close()
            await crew.close()

    def _call(self, name: str, call: Callable[[Crew, Watch], object]) -> None:
        """Do it in the thread; asked again before it is done, it is done once (an empty name: each time)."""
        loop = self._loop
        if loop is None or (name and name in self._asked):
            return
        try:
            if name:
                self._asked.add(name)
            loop.call_soon_threadsafe(self._do, name, call)
        except RuntimeError:  # it has ended
            return
        except BaseException:  # Ctrl-C, and who knows how far it has come
            loop.call_soon_threadsafe(self._do, name, call)
            raise

    def _do(self, name: str, call: Callable[[Crew, Watch], object]) -> None:
        self._asked.discard(name)
        if self._crew is not None and self._watch is not None:
            call(self._crew, self._watch)
        else:  # the thread has only just begun
            self._call(name, call)

    def wants_workers(self) -> None:
        """See Hooks."""
        self._call("size", lambda crew, _: crew.size())

    def wants_looks(self) -> None:
        """See Hooks."""
        self._call("look", lambda _, watch: watch.look())

    def is_ready(self, member: Member) -> None:
        """See Hooks."""
        self._call("", lambda crew, _: crew.is_ready(member))

    def is_garbled(self, member: Member) -> None:
        """See Hooks."""
        self._call("", lambda crew, _: crew.spawn(crew.kill_for(member, "something wrote into its connection")))

    def is_spent(self, member: Member) -> None:
        """See Hooks."""
        self._call("", lambda crew, _: crew.is_spent(member))

    def wants_settling(self) -> None:
        """See Hooks."""
        self._call("settle", lambda _crew, _watch: self.engine.settle())

    def takes_over(self, future: PoolFuture[Any] | LoopFuture[Any]) -> None:
        """See Hooks."""
        if self._drivers is None:
            self.begin()
        assert self._drivers is not None
        self._drivers.takes_over(future)

    def may_wait(self) -> bool:
        """See Hooks."""
        return threading.current_thread() is not self._thread

    def wants_end(self, member: Member, task: Task) -> None:
        """See Hooks."""
        error = PoolClosed(f"task {task.name} was cancelled")
        self._call("", lambda crew, _: crew.spawn(crew.end_task(member, task, error)))

    def has_deadline(self) -> None:
        """See Hooks."""
        self._call("due", lambda _, watch: watch.look_at_deadlines())

    def is_drained(self) -> None:
        """See Hooks."""
        self._drained.notify_all()
        calls, self._drained_calls = self._drained_calls, []
        for call in calls:
            call()

    def _cancel_all(self) -> None:
        """All that no worker has begun."""
        with NoInterrupts():
            with self.engine.lock:
                tasks = self._take_all_back()
            try:
                self._cancel(tasks)
            finally:
                self.engine.is_settled(len(tasks))

    def _take_all_back(self) -> list[Task]:
        engine = self.engine
        for member in list(engine.ready):
            was_idle = member.at_work()[0] not in member.sent  # 0, or one whose answer is here already
            engine.recall(member)
            if was_idle and not member.sent:  # what it was just about to begin, it may
                engine.send_next(member)
        tasks = [task for task in engine.queue.drain() if not task.settled]
        for task in tasks:
            engine.finish(task)
            engine.ledger.cancelled()
            if engine.listeners.tasks:
                engine.listeners.emit("task_cancelled", monotonic(), task=task.name)
        engine.in_hand += len(tasks)
        return tasks

    def _cancel(self, tasks: list[Task]) -> None:
        for task in tasks:
            future = task.future
            home = future.home
            if home is None or home is asyncio._get_running_loop():  # noqa: SLF001 - None where there is none
                _cancel(future)
            else:
                try:
                    home.call_soon_threadsafe(future.settle_cancelled)
                except RuntimeError:  # closed: nobody waits there
                    continue


def _cancel(future: PoolFuture[Any] | LoopFuture[Any]) -> None:
    try:
        future.settle_cancelled()
    except BaseException:  # of a callback, in the middle of the futures of others
        _log.exception("a callback of a cancelled future failed")
