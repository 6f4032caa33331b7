"""The workers of a process pool: who is started, who is replaced, who is told to leave. Runs in the pool's thread."""

from __future__ import annotations

import asyncio
import logging
import signal
from time import monotonic
from typing import TYPE_CHECKING

from rookery._os import kernel
from rookery.errors import RookeryError, WorkerDied, WorkerStartFailed
from rookery.lifecycle.state import Event, State
from rookery.lifecycle.stop import SIGKILL, StopPlan
from rookery.pool.rules.sizing import SizeFacts, Sizer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from rookery.lifecycle.exit import ExitStatus
    from rookery.pool.processes.drivers import Drivers
    from rookery.pool.processes.engine import Engine
    from rookery.pool.processes.member import Member
    from rookery.pool.processes.one_task import Task
    from rookery.pool.processes.settings import PoolSettings
    from rookery.pool.processes.starter import Starter

_log = logging.getLogger("rookery.pool")
_FREEZE_LOOKS = 200
_FREEZE_PAUSE = 0.001


class Crew:
    """members: all that live, by slot. Make and use it in the pool's thread; status() may read it from others."""

    def __init__(self, settings: PoolSettings, engine: Engine, drivers: Drivers, starter: Starter) -> None:
        self.settings = settings
        self.engine = engine
        self.drivers = drivers
        self.starter = starter
        self.members: dict[int, Member] = {}
        self.replaced: dict[int, int] = {}
        self.is_closing = False
        self.is_terminated = False
        self.cancel_all: Callable[[], object] | None = None
        """Once the pool is terminated: what a worker has not begun that is killed goes to nobody."""
        self.asked = 0
        self._sizer: Sizer[Member] = Sizer(idle_timeout=settings.idle_timeout)
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.get_running_loop()
        self._last_words = ""

    # -- how many ---------------------------------------------------------------------------------------------------

    def size(self) -> None:
        """Start and stop workers as the sizer decides."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = monotonic()
        with self.engine.lock:
            if self._sizer.is_braking:
                for member in self.members.values():
                    if member.done:
                        self._sizer.worked(member.ready_at)
            facts = self._facts()
            plan = self._sizer.how_many(now, facts)
            new: list[Member] = []
            failed: OSError | None = None
            try:
                for _ in range(plan.start):
                    new.append(self._new_member())  # noqa: PERF401 - it may fail in the middle
            except OSError as error:
                failed = error
            self.asked = max(0, self.asked - plan.start)
        for member in new:
            self.spawn(self._start(member))
        if failed is not None:
            self._start_failed(None, WorkerStartFailed("a worker could not be started", why=str(failed)))
            return
        for member in (*plan.stop, *plan.retire):
            self.engine.retire(member, "more workers than are needed")
        if plan.gave_up:
            self._give_up(plan.gave_up)
        if plan.again is not None:
            self._timer = self._loop.call_later(max(0.0, plan.again - now), self.size)

    def _facts(self) -> SizeFacts[Member]:
        engine, settings = self.engine, self.settings
        members = self.members.values()
        live = [one for one in members if not one.retires]
        return SizeFacts(
            minimum=0 if self.is_closing else settings.min_workers,
            maximum=settings.most,
            queued=len(engine.queue) + engine.unbegun(),
            idle=[(one, one.idle_since) for one in live if one.is_ready and not one.sent],
            busy=[one for one in live if one.is_ready and one.sent],
            starting=sum(not one.is_ready for one in live),
            # One that has nothing left to do is as good as gone: its successor need not wait for that.
            leaving=sum(bool(one.retires) and bool(one.sent) for one in members),
            asked=self.asked,
            is_closing=self.is_closing,
        )

    def _new_member(self) -> Member:
        slot = next(number for number in range(len(self.members) + 1) if number not in self.members)
        member = self.starter.new_member(f"{self.settings.name or 'pool'}:{slot}")
        member.slot = slot
        self.members[slot] = member
        return member

    def _give_up(self, why: str) -> None:
        engine = self.engine
        with engine.lock:
            told = _with_lines(why, "" if self._last_words in why else self._last_words)
            for task in engine.queue.drain():
                if not task.settled:
                    engine.fail(task, WorkerStartFailed("no worker of the pool can be started", why=told))
            engine.room.notify_all()
        engine.settle()

    # -- starting ---------------------------------------------------------------------------------------------------

    async def _start(self, member: Member) -> None:
        self._emit("worker_created", member)
        member.step(Event.START)
        self.drivers.add(member)
        try:
            member.handle = handle = await self.starter.start(member)
        except (RookeryError, OSError) as error:
            member.step(Event.GIVE_UP)
            self._gone(member)
            self._start_failed(member, error)
            return
        except BaseException:
            self._gone(member)
            raise
        member.is_given()
        member.step(Event.SPAWNED)
        if member.retires:  # meanwhile
            self.spawn(self.kill(member))
        member.timer = self._loop.call_later(self.settings.start_timeout, self._is_late, member)
        handle.on_exit(lambda _: self._ended(member))

    def _is_late(self, member: Member) -> None:
        if not member.is_ready:
            limit = self.settings.start_timeout
            why = _with_lines(self.starter.why_late, member.last_words)
            member.start_error = WorkerStartFailed(f"a worker was not ready within {limit:g} s", why=why)
            self.spawn(self.kill(member))

    def is_ready(self, member: Member) -> None:
        """It has said so, or that it cannot start; then it ends by itself."""
        # It may have ended since it said so.
        if member.start_error is None and not member.is_ready and member.is_open and not member.retires:
            if member.timer is not None:
                member.timer.cancel()
            self._emit("worker_ready", member)
            self.engine.add(member)
            self.size()

    def _start_failed(self, member: Member | None, error: BaseException) -> None:
        told = str(error) or type(error).__name__
        _log.warning("a worker of the pool could not be started: %s", told)
        if member is not None:
            self._emit("worker_exited", member, told, error)
        self._sizer.start_failed(monotonic(), told)
        self.size()

    # -- ending -----------------------------------------------------------------------------------------------------

    def _ended(self, member: Member) -> None:
        """A worker is no more, wanted or not."""
        if member.timer is not None:
            member.timer.cancel()
        assert member.handle is not None
        status = member.handle.status
        assert status is not None
        why = member.retires  # before the engine sets it
        was_wanted = bool(why) or member.killed_for is not None
        self._last_words = member.last_words
        victims = self.engine.lose(member)
        if self.cancel_all is not None:
            self.cancel_all()
        if member.state is State.RUNNING:
            member.step(Event.EXITED_DONE if was_wanted else Event.EXITED_RETRY)
        for task in victims:
            self._fail(member, task, status)
        self._gone(member)  # its successor takes its place
        self.spawn(self._tidy(member))
        if not member.is_ready and not why:
            died = _with_lines(f"it {status} before it was ready", member.last_words)
            self._start_failed(member, member.start_error or WorkerStartFailed("a worker could not start", why=died))
            return
        self._emit("worker_exited", member, why or member.reason or str(status), member.killed_for)
        if was_wanted or member.done:
            self._sizer.worked(member.ready_at)
        else:
            now = monotonic()
            self._sizer.died(now, lifetime=now - member.ready_at, tasks=len(victims), status=status)
        self.size()
        self.engine.check_drained()

    def _fail(self, member: Member, task: Task, status: ExitStatus) -> None:
        """The task that a worker was at when it died."""
        error = member.killed_for
        if error is None:
            code, number = status.code, status.signal_name
            error = WorkerDied(
                task.name, member.pid, code=code, signal=number, reason=member.reason, stderr=member.last_words
            )
        engine = self.engine
        with engine.lock:
            if task.settled:
                return
            at, began = member.at_work()
            began = began if at == task.number else 0.0
            if task.attempts <= task.options.retries and not self.is_terminated:
                engine.ledger.retried(*((began - task.queued_at, monotonic() - began) if began else ()))
                engine.again(task, str(error), error)
                return
            engine.fail(task, error, member.name, began)
        engine.settle()

    async def _tidy(self, member: Member) -> None:
        """Nothing that its tasks have started outlives a worker."""
        handle = member.handle
        assert handle is not None
        await self.starter.tidy(handle)

    def _gone(self, member: Member) -> None:
        self.drivers.remove(member)
        if self.members.get(member.slot) is member:
            del self.members[member.slot]
            self.replaced[member.slot] = self.replaced.get(member.slot, 0) + 1

    def is_spent(self, member: Member) -> None:
        """It retires, and has done what it was given: it ends when it finds nobody at the other end."""
        if member.leaves or member.handle is None:
            return
        member.leaves = True
        with self.engine.lock:
            member.no_more_tasks()
        self.spawn(self._leave(member))

    async def _leave(self, member: Member) -> None:
        handle = member.handle
        assert handle is not None
        try:
            await asyncio.wait_for(handle.wait(), self.settings.graceful_timeout)
        except TimeoutError:
            await self._stop(member, StopPlan(graceful_timeout=self.settings.graceful_timeout))

    async def kill(self, member: Member) -> None:
        """SIGKILL to it and all that it has started."""
        await self._stop(member, StopPlan(signal=SIGKILL))

    async def _stop(self, member: Member, plan: StopPlan) -> None:
        handle = member.handle
        if handle is not None and handle.is_running:
            try:
                await self.starter.stop(handle, plan)
            except RookeryError:
                _log.exception("a worker of the pool does not end")

    async def end_task(self, member: Member, task: Task, error: BaseException) -> None:
        """Kill a worker for the task that it is at, if it is still at it.

        It is stopped first: looked at while it runs it could be at the next task when the signal comes.
        """
        handle = member.handle
        while task.number in member.sent:
            if handle is None or member.killed_for is not None or not handle.signal(signal.SIGSTOP):
                return
            for _ in range(_FREEZE_LOOKS):
                facts = kernel.facts(handle.pid)
                if facts is None or facts.state in "TtZX":
                    break
                await asyncio.sleep(_FREEZE_PAUSE)
            with self.engine.lock:
                is_at_it = member.is_open and member.at_work()[0] == task.number and task.number in member.sent
                if is_at_it:
                    member.killed_for = error
            if is_at_it:
                await self.kill(member)
                return
            handle.signal(signal.SIGCONT)
            await asyncio.sleep(_FREEZE_PAUSE)  # it has read the task, and is about to begin it; or it is done

    async def kill_for(self, member: Member, reason: str) -> None:
        """Kill a worker, whatever it is at."""
        member.reason = reason
        await self.kill(member)

    async def close(self) -> None:
        """All are told to leave; what does not is killed. Returns when nothing is left."""
        self.is_closing = True
        if self._timer is not None:
            self._timer.cancel()
        for member in list(self.members.values()):
            if not member.is_ready:
                member.retires = "the pool is closed"
                self.spawn(self.kill(member))
            else:
                self.engine.retire(member, "the pool is closed")
        while self._tasks or self.members:
            if self._tasks:
                await asyncio.wait(self._tasks)
            else:  # that one is spent is told a turn later
                await asyncio.sleep(_FREEZE_PAUSE)
        await self.starter.close()
        self.drivers.close()

    def _emit(self, kind: Any, member: Member, reason: str = "", error: BaseException | None = None) -> None:
        listeners = self.engine.listeners
        if listeners.workers:
            listeners.emit(kind, monotonic(), worker=member.name, reason=reason, error=error)
            if kind == "worker_ready" and self.replaced.get(member.slot):
                listeners.emit("worker_replaced", monotonic(), worker=member.name)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run it; close() waits for it."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("the pool's housekeeping failed", exc_info=task.exception())


def _with_lines(why: str, lines: str) -> str:
    """A reason, and below it what the worker said last."""
    return "\n  ".join([why, *lines.splitlines()])
