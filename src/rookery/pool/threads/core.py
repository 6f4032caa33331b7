"""The inside of a thread pool, first part: its lock, its threads coming and going, and the clock.

One lock guards it all, and is never held while code of others runs: what that calls for (futures to be settled,
listeners to be told) is put into aftermath under the lock, and done by whoever holds it no more.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery.errors import TaskTimeout, WorkerStartFailed
from rookery.pool.rules.deadlines import Deadlines
from rookery.pool.rules.events import Listeners
from rookery.pool.rules.queue import TaskQueue
from rookery.pool.rules.status import Ledger
from rookery.pool.threads.crew import Crew
from rookery.pool.threads.member import Member
from rookery.pool.threads.task import ThreadTask
from rookery.pool.threads.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.pool.rules.events import Kind
    from rookery.pool.threads.lane import Waiter
    from rookery.pool.threads.settings import ThreadSettings

_log = logging.getLogger("rookery.pool")
_STUCK_AFTER = 5.0
_STUCK = "stuck"


class ThreadCore(ABC):
    """Methods whose name begins with an underscore are called with the lock held."""

    def __init__(self, settings: ThreadSettings) -> None:
        self.settings = settings
        self.listeners = Listeners()
        self.closed = ""
        self._make_new()

    def _make_new(self) -> None:
        """Everything that is not the same in a forked copy."""
        now = monotonic()
        self.lock = threading.Lock()
        self.queue: TaskQueue[ThreadTask] = TaskQueue()
        self.running = 0
        self.ledger = Ledger(now)
        self.crew = Crew(self.settings, self._member)
        self.deadlines: Deadlines[object] = Deadlines()
        self.timer = Timer(self.lock, self.tick, self._next_moment, f"{self.settings.name}-clock")
        self.aftermath: deque[Callable[[], object]] = deque()
        self.has_ended = False
        self._loose = 0
        self._again: float | None = None
        self._was_stuck = False
        self._blocked: deque[Waiter] = deque()
        self._drainers: list[Waiter] = []
        self._end_waiters: list[Waiter] = []
        self._left: list[threading.Thread] = []

    # -- afterwards ---------------------------------------------------------------------------------------------------

    def after(self) -> None:
        """Do what is to be done without the lock."""
        while self.aftermath:
            try:
                call = self.aftermath.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                call()
            finally:
                with self.lock:
                    self._loose -= 1
                    self._check_drained()
                    self._check_end()

    def _afterwards(self, call: Callable[[], object]) -> None:
        self._loose += 1
        self.aftermath.append(call)

    def _tell(self, kind: Kind, member: Member, reason: str = "", error: BaseException | None = None) -> None:
        if self.listeners.workers:
            emit = self.listeners.emit
            self._afterwards(partial(emit, kind, monotonic(), worker=member.name, reason=reason, error=error))

    def _tell_of(self, kind: Kind, task: ThreadTask, reason: str = "", error: BaseException | None = None) -> None:
        if self.listeners.tasks:
            emit = self.listeners.emit
            self._afterwards(partial(emit, kind, monotonic(), task=task.label, reason=reason, error=error))

    # -- threads come and go ------------------------------------------------------------------------------------------

    def _member(self, name: str, restarts: int) -> Member:
        return Member(self, name, monotonic(), restarts=restarts)

    def _fit(self, now: float, *, asked: int = 0) -> None:
        """Have as many threads as there should be."""
        crew = self.crew
        while not self.has_ended:
            sizing = crew.decide(now, queued=len(self.queue), asked=asked, is_closing=bool(self.closed))
            for member in sizing.stop:
                crew.dismiss(member, "it was idle" if not self.closed else "the pool was shut down")
            for member in sizing.retire:
                crew.dismiss(member, "the pool was made smaller")
            if sizing.gave_up:
                self._fail_all(sizing.gave_up)
            if sizing.again is not None and crew.sizer.is_braking and not self._wake_me(sizing.again):
                if not crew.members:  # nobody would look again
                    self._fail_all(str(crew.start_error))
                return
            if crew.is_out_of_threads and crew.sizer.is_braking:
                self._fail_all(str(crew.start_error))
            if not sizing.start or self._start(sizing.start, now):
                return

    def _start(self, count: int, now: float) -> bool:
        for _ in range(count):
            member = self.crew.start(now)
            if member is None:
                return False
            if self.settings.initializer is not None:
                self.deadlines.set(member, now + self.settings.start_timeout)
                self._clock(now + self.settings.start_timeout)
            self._tell("worker_created", member)
            if member.restarts:
                self._tell("worker_replaced", member)
        return True

    def _wake_me(self, when: float) -> bool:
        """Have the clock look then; False where there is no thread for it."""
        if self._again is None or when < self._again:
            self._again = when
        return self._clock(when)

    def _clock(self, when: float) -> bool:
        try:
            self.timer.at(when)
        except RuntimeError:
            return False
        return True

    def _fail_all(self, why: str) -> None:
        for task in self.queue.drain():
            error = WorkerStartFailed("no thread can be started for the task", why=why)
            error.__cause__ = self.crew.start_error
            self._forget_limit(task)
            self.ledger.failed()
            self._tell_of("task_failed", task, error=error)
            self._afterwards(partial(task.settle, None, error))
        self._freed()

    def arrived(self, member: Member) -> bool:
        """See Desk."""
        with self.lock:
            if member.is_given_up:
                self._depart(member)
            else:
                now = monotonic()
                self.deadlines.remove(member)
                member.is_ready = True
                member.since = member.ready_at = now
                self._count(now)
                self._tell("worker_ready", member)
        self.after()
        return not member.is_given_up

    def start_failed(self, member: Member, error: BaseException) -> None:
        """See Desk."""
        with self.lock:
            self.deadlines.remove(member)
            was_given_up = member.is_given_up
            member.leaves = f"its initializer raised {type(error).__name__}: {error}"
            if not was_given_up:
                self.crew.start_error = error
                self.crew.sizer.start_failed(monotonic(), member.leaves)
            self._depart(member, error)
        self.after()

    def crashed(self, member: Member, error: BaseException) -> None:
        """See Desk."""
        with self.lock:
            member.leaves = f"it broke: {type(error).__name__}: {error}"
            task, member.task = member.task, None
            member.is_settling = False
            if task is not None:
                self._lost(task, member, error)
            self._depart(member, error)
        self.after()

    def _depart(self, member: Member, error: BaseException | None = None) -> None:
        """A thread is at its end."""
        now = monotonic()
        was_given_up = member.is_given_up
        self.crew.remove(member)
        if not was_given_up:
            self._count(now)
            if member.is_lost:
                self.crew.replace(member)
            self._tell("worker_exited", member, member.leaves or "the pool was shut down", error)
        if self.closed:
            self._left.append(member.thread)
        self._fit(now)
        self._send_more()
        self._check_drained()
        self._check_end()

    def _give_up(self, member: Member, why: str, now: float) -> None:
        """Nobody waits for that thread any more; it is replaced where that is needed."""
        self.running -= member.task is not None
        self.crew.give_up(member)
        self.crew.replace(member)
        self._count(now)
        self._tell("worker_exited", member, why)
        self._fit(now)
        self._freed()
        self._check_end()

    def _send_more(self) -> None:
        """Each that looks sends the next, as long as there is something to do."""
        crew = self.crew
        if crew.woken or not len(self.queue):
            return
        if crew.idle:
            crew.wake_one()
        elif len(crew.members) < crew.maximum:
            self._fit(monotonic())

    def _count(self, now: float) -> None:
        self.ledger.workers(sum(member.is_ready for member in self.crew.members), now)

    @abstractmethod
    def take(self, member: Member) -> ThreadTask | None:
        """See Desk."""

    @abstractmethod
    def finish(self, member: Member, task: ThreadTask, value: Any, error: BaseException | None) -> None:
        """See Desk."""

    @abstractmethod
    def progress(self, member: Member, value: Any) -> None:
        """See Desk."""

    @abstractmethod
    def _lost(self, task: ThreadTask, member: Member, error: BaseException) -> None:
        """The task's thread broke under it."""

    # -- the clock ----------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Do what is due."""
        with self.lock:
            for key in self.deadlines.due(now):
                if isinstance(key, ThreadTask):
                    self._overdue(key, now)
                elif isinstance(key, Member):
                    self._starts_too_long(key, now)
                else:
                    self._look_if_stuck(now)
            if self._again is not None and now >= self._again:
                self._again = None
                self._fit(now)
        self.after()

    def _next_moment(self) -> float | None:
        return min((when for when in (self.deadlines.next(), self._again) if when is not None), default=None)

    def _set_limit(self, task: ThreadTask, when: float) -> None:
        self.deadlines.set(task, when)
        self.timer.at(when)

    def _forget_limit(self, task: ThreadTask) -> None:
        if task.is_limited:
            self.deadlines.remove(task)

    @abstractmethod
    def _overdue(self, task: ThreadTask, now: float) -> None:
        """The task's time is over."""

    def _starts_too_long(self, member: Member, now: float) -> None:
        if member.is_ready or member not in self.crew.members:
            return
        why = f"its initializer was not done within {self.settings.start_timeout:g} s"
        self.crew.start_error = TaskTimeout("initializer", self.settings.start_timeout)
        self.crew.sizer.start_failed(now, why)
        self._give_up(member, why, now)

    def _may_be_stuck(self, now: float) -> None:
        """A task gives tasks while all threads are at work: if it waits for them, and all do so, that is for ever."""
        if _STUCK not in self.deadlines and not self._was_stuck:
            self.deadlines.set(_STUCK, now + _STUCK_AFTER)
            self._clock(now + _STUCK_AFTER)

    def _look_if_stuck(self, now: float) -> None:
        crew = self.crew
        if not len(self.queue) or not crew.is_saturated:
            return
        if any(member.task is None or now - member.task.began < _STUCK_AFTER for member in crew.members):
            self._may_be_stuck(now)
            return
        self._was_stuck = True
        _log.warning(
            "pool %s: all %d threads have been at their tasks for %g s, and tasks wait that were given by such tasks;"
            " if these wait for those, nobody ever goes on: allow more max_workers, or give them to another pool",
            self.settings.name,
            len(crew.members),
            _STUCK_AFTER,
        )

    # -- room, and the end --------------------------------------------------------------------------------------------

    def _freed(self) -> None:
        """There may be room in the queue."""
        while self._blocked and not self._is_full:
            if self._blocked.popleft().wake():
                return

    @property
    def _is_full(self) -> bool:
        limit = self.settings.max_queue
        return limit is not None and len(self.queue) + self.running >= limit + self.crew.maximum

    def _check_drained(self) -> None:
        if self._drainers and self._is_drained:
            waiters, self._drainers = self._drainers, []
            for waiter in waiters:
                waiter.wake()

    @property
    def _is_drained(self) -> bool:
        if len(self.queue) or self._loose:
            return False
        return all(member.task is None and not member.is_settling for member in self.crew.members)

    def _check_end(self) -> None:
        if not self.closed or self.crew.members or self._loose or self.has_ended:
            return
        if len(self.queue):
            if not self.crew.is_out_of_threads:
                return
            self._fail_all("so many threads were given up and still run that no more are started")
        self._end()

    def _end(self) -> None:
        self.has_ended = True
        thread = self.timer.stop()
        if thread is not None:
            self._left.append(thread)
        waiters, self._end_waiters = [*self._end_waiters, *self._drainers], []
        self._drainers = []
        for waiter in waiters:
            waiter.wake()
