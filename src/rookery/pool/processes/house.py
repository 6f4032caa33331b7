"""A process pool's inside: the engine, and the thread in which everything that takes time is done."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import weakref
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery.errors import PoolClosed, UsageError, WorkerStartFailed
from rookery.pool.future import PoolFuture
from rookery.pool.processes.crew import Crew
from rookery.pool.processes.drivers import Drivers
from rookery.pool.processes.engine import Engine
from rookery.pool.processes.hooks import Hooks
from rookery.pool.processes.interrupts import NoInterrupts
from rookery.pool.processes.starting import NurseryStarter
from rookery.pool.processes.watch import UsageOfWorkers, Watch
from rookery.pool.rules.events import Listeners
from rookery.pool.rules.status import Ledger, PoolStatus, WorkerStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.pool.future import LoopFuture
    from rookery.pool.processes.member import Member
    from rookery.pool.processes.one_task import Task
    from rookery.pool.processes.settings import PoolSettings
    from rookery.pool.processes.starter import Starter

_log = logging.getLogger("rookery.pool")
_LOOPS_OWN = 3
"""The descriptors of an event loop."""
_SHUT_DOWN = "cannot schedule new futures after shutdown"


class House(Hooks):
    """Thread-safe. In a forked copy of the process it begins anew, empty."""

    engine_type: type[Engine] = Engine

    def __init__(self, settings: PoolSettings) -> None:
        self.settings = settings
        self.listeners = Listeners()
        self.engine = self.engine_type.__new__(self.engine_type)
        self._begin_anew()
        _ALL.add(self)

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

    # -- the thread -------------------------------------------------------------------------------------------------

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

    # -- hooks: from any thread, mostly under the engine's lock -------------------------------------------------------

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

    # -- waiting ------------------------------------------------------------------------------------------------------

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

    # -- more and fewer -----------------------------------------------------------------------------------------------

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

    # -- ending -------------------------------------------------------------------------------------------------------

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
            was_idle = member.at_work()[0] == 0
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

    # -- telling ------------------------------------------------------------------------------------------------------

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

    # -- in a forked copy of the process ------------------------------------------------------------------------------

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


def _cancel(future: PoolFuture[Any] | LoopFuture[Any]) -> None:
    try:
        future.settle_cancelled()
    except BaseException:  # of a callback, in the middle of the futures of others
        _log.exception("a callback of a cancelled future failed")


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
