"""What has to be looked at again and again: slow workers, time limits, memory. Runs in the pool's thread."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery._base.units import format_size
from rookery.errors import TaskTimeout
from rookery.metrics.sampler import Root, Sampler, Usage
from rookery.process.tree import INDEX

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from rookery.pool.processes.crew import Crew
    from rookery.pool.processes.engine import Engine
    from rookery.pool.processes.member import Member
    from rookery.pool.processes.one_task import Task

_LOOK_EVERY = 0.002
_MEMORY_EVERY = 1.0
_TRIM_EVERY = 10.0


class Watch:
    """spawn: runs a coroutine in the pool's thread."""

    def __init__(
        self,
        engine: Engine,
        crew: Crew,
        loop: asyncio.AbstractEventLoop,
        spawn: Callable[[Coroutine[Any, Any, Any]], None],
    ) -> None:
        self._engine = engine
        self._crew = crew
        self._loop = loop
        self._spawn = spawn
        self._timer: asyncio.TimerHandle | None = None
        self._due_timer: asyncio.TimerHandle | None = None
        self._memory_timer: asyncio.TimerHandle | None = None
        self._usage = UsageOfWorkers()
        self._trim_timer: asyncio.TimerHandle | None = loop.call_later(_TRIM_EVERY, self._trim)
        if crew.settings.soft_memory is not None or crew.settings.max_memory is not None:
            self._memory_timer = loop.call_later(_MEMORY_EVERY, self._look_at_memory)

    def _trim(self) -> None:
        """Shared memory that was not used for a while goes back to the system."""
        self._trim_timer = self._loop.call_later(_TRIM_EVERY, self._trim)
        self._engine.lender.trim(monotonic())

    def look(self) -> None:
        """Look now, and again while there is a reason to."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        again = _LOOK_EVERY if self._engine.look() else None
        limit = self._look_at_limits()
        moments = [one for one in (again, limit) if one is not None]
        if moments:
            self._timer = self._loop.call_later(min(moments), self.look)

    def _look_at_limits(self) -> float | None:
        """End tasks whose time is over; seconds until the next may be."""
        engine = self._engine
        with engine.lock:
            if not engine.limits:
                return None
            now = monotonic()
            least = min(engine.limits)
            late: list[tuple[Member, Task, float]] = []
            for member in self._crew.members.values():
                if not member.sent or not member.is_open:
                    continue
                number, began = member.at_work()
                task = member.sent.get(number)
                if task is None or task.options.timeout is None:
                    continue
                left = began + task.options.timeout - now
                if left <= 0:
                    late.append((member, task, task.options.timeout))
                else:
                    least = min(least, left)
        for member, task, limit in late:
            self._spawn(self._crew.end_task(member, task, TaskTimeout(task.name, limit)))
        return max(least, _LOOK_EVERY)

    def look_at_deadlines(self) -> None:
        """End the tasks whose deadline is over, wherever they are; again when the next is due."""
        if self._due_timer is not None:
            self._due_timer.cancel()
        with self._engine.lock:
            tasks = self._engine.due.due(monotonic())
            due = self._engine.due.next()
        self._due_timer = None if due is None else self._loop.call_later(due - monotonic(), self.look_at_deadlines)
        for task in tasks:
            self._is_due(task)

    def _is_due(self, task: Task) -> None:
        engine, deadline = self._engine, task.options.deadline
        assert deadline is not None
        error = TaskTimeout(task.name, deadline, why="that is its deadline, with the time that it waited")
        with engine.lock:
            if task.settled:
                return
            member = task.member
            if member is not None:
                engine.recall(member)
                engine.fill(member)
            is_running = task.member is not None
            if not is_running:
                engine.queue.discard(task)
                engine.room.notify_all()
                engine.fail(task, error)
        if is_running:
            assert member is not None
            self._spawn(self._crew.end_task(member, task, error))
            return
        engine.settle()

    def _look_at_memory(self) -> None:
        self._memory_timer = self._loop.call_later(_MEMORY_EVERY, self._look_at_memory)
        settings = self._crew.settings
        members = [one for one in self._crew.members.values() if one.is_ready]
        usage = self._usage.of(members)
        for member in members:
            used = usage[member.name].memory
            if settings.max_memory is not None and used > int(settings.max_memory):
                reason = f"it used {format_size(used)}, more than max_memory ({format_size(int(settings.max_memory))})"
                self._spawn(self._crew.kill_for(member, reason))
            elif settings.soft_memory is not None and used > int(settings.soft_memory):
                self._engine.retire(member, f"it used {format_size(used)}, more than soft_memory")

    def close(self) -> None:
        """Look no more."""
        for timer in (self._timer, self._due_timer, self._memory_timer, self._trim_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._due_timer = self._memory_timer = self._trim_timer = None


class UsageOfWorkers:
    """Memory and cpu of the workers' trees. Thread-safe."""

    def __init__(self) -> None:
        self._sampler = Sampler(INDEX.cookie)
        self._lock = threading.Lock()

    def of(self, members: list[Member]) -> dict[str, Usage]:
        """By name; cpu is None at the first look."""
        handles = {one.name: one.handle for one in members if one.handle is not None}
        roots = {name: Root(handle.pid, handle.start_time) for name, handle in handles.items()}
        cookies = {handle.cookie: name for name, handle in handles.items()}
        with self._lock:
            found = self._sampler.sample(roots, cookies, monotonic())
        return {one.name: found.get(one.name, Usage()) for one in members}
