"""The inside of a thread pool, second part: tasks.

enqueue -> queue -> take(): the thread that looks first -> its context.run() -> finish() -> settle, without the lock
"""

from __future__ import annotations

import contextvars
import logging
import threading
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery.errors import PoolClosed, PoolFull, TaskTimeout, WorkerDied, WorkerStartFailed
from rookery.pool.future import LoopFuture
from rookery.pool.threads.chunk import outcomes_of, run_chunk
from rookery.pool.threads.core import ThreadCore
from rookery.pool.threads.here import here
from rookery.pool.threads.lane import Sleeper
from rookery.pool.threads.loops import replies_of
from rookery.pool.threads.task import ThreadTask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rookery.pool.calls import TaskOptions
    from rookery.pool.future import PoolFuture
    from rookery.pool.rules.events import Kind
    from rookery.pool.threads.member import Member

_log = logging.getLogger("rookery.pool")


class ThreadTasks(ThreadCore):
    """Is a Pooled for calls and maps, and a Desk for its threads."""

    # -- taking tasks on ----------------------------------------------------------------------------------------------

    @property
    def breadth(self) -> int:
        """See Pooled."""
        return self.crew.maximum

    def chunk(
        self, function: Callable[..., Any], items: Sequence[Any], *, are_single: bool
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """See Chunks."""
        return run_chunk, (function, items, are_single)

    def outcomes(self, result: Any) -> tuple[list[Any] | None, list[tuple[bool, Any]]]:
        """See Chunks."""
        return outcomes_of(result)

    def enqueue(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: TaskOptions,
        future: PoolFuture[Any] | LoopFuture[Any],
    ) -> None:
        """See Pooled."""
        replies = replies_of(future.get_loop()) if isinstance(future, LoopFuture) else None
        context = contextvars.copy_context()
        task = ThreadTask(function, args, kwargs, options, future, replies, context, monotonic())
        future.task = task
        member = here.member
        if member is not None and not member.belongs_to(self):
            member = None
        while True:
            with self.lock:
                if self.closed:
                    raise PoolClosed(self.closed)
                if not self._is_full or (replies is not None and self.settings.when_full == "wait"):
                    # Who awaits a future waits anyway, and no event loop is to be held up.
                    self._add(task, member)
                    break
                sleeper = self._wait_for_room(member)
            self._sleep_until_room(sleeper, member)
        if self.aftermath:
            self.after()

    def _add(self, task: ThreadTask, member: Member | None) -> None:
        if task.is_limited:
            self._limit(task)
        self.ledger.submitted()
        if self.listeners.tasks:
            self._tell_of("task_queued", task)
        self.queue.push(task, task.priority)
        crew = self.crew
        if crew.idle:
            if not crew.woken:  # else the one on its way sends the next when there is more than it takes
                crew.wake_one()
        elif len(crew.members) < crew.maximum:
            self._fit(task.submitted)
        elif member is not None:
            self._may_be_stuck(task.submitted)

    def _limit(self, task: ThreadTask) -> None:
        """Have the clock run, and look at a deadline; a time limit is set when the task begins."""
        deadline, timeout = task.options.deadline, task.options.timeout
        try:
            if deadline is not None:
                self._set_limit(task, task.submitted + deadline)
            else:
                self.timer.at(task.submitted + (timeout or 0.0))
        except RuntimeError as error:
            self.deadlines.remove(task)
            raise WorkerStartFailed("no thread can be started for the task's time limit", why=str(error)) from error

    def _wait_for_room(self, member: Member | None) -> Sleeper:
        limit = self.settings.max_queue or 0
        if self.settings.when_full == "raise":
            raise PoolFull(limit)
        if member is not None and all(one.is_blocked or one is member for one in self.crew.members):
            error = PoolFull(limit)
            error.hint = "every thread of the pool waits for room in its own queue: allow more, or use another pool"
            raise error
        sleeper = Sleeper()
        self._blocked.append(sleeper)
        if member is not None:
            member.is_blocked = True
        return sleeper

    def _sleep_until_room(self, sleeper: Sleeper, member: Member | None) -> None:
        try:
            sleeper.sleep(None)
        except BaseException:  # such as KeyboardInterrupt
            with self.lock:
                if sleeper in self._blocked:
                    self._blocked.remove(sleeper)
                else:
                    self._freed()  # it was woken: the turn goes on
            raise
        finally:
            if member is not None:
                member.is_blocked = False

    # -- giving them out, and what becomes of them --------------------------------------------------------------------

    def take(self, member: Member) -> ThreadTask | None:
        """See Desk."""
        while True:
            leaves = False
            with self.lock:
                member.is_settling = False
                if member.is_woken:
                    self.crew.awake(member)
                task = None
                if not member.is_given_up and not member.leaves:
                    task = self.queue.pop()
                if task is not None:
                    self._begin(task, member)
                elif member.is_given_up or member.leaves or self.closed:
                    leaves = True
                    self._depart(member)
                else:
                    member.since = monotonic()
                    member.is_idle = True
                    self.crew.idle.append(member)
                    if self._drainers:
                        self._check_drained()
            if self.aftermath:
                self.after()
            if task is not None:
                if self.listeners.tasks:
                    self.listeners.emit("task_started", task.began, task=task.label, worker=member.name)
                return task
            if leaves:
                return None
            self._idle(member)

    def _begin(self, task: ThreadTask, member: Member) -> None:
        member.task = task
        task.member = member
        task.began = monotonic()
        self.running += 1
        self._send_more()
        if task.is_limited and (due := task.due) is not None:
            self._set_limit(task, due)
        if self.crew.sizer.is_braking:
            self.crew.sizer.worked(member.ready_at)
            self._fit(task.began)

    def _idle(self, member: Member) -> None:
        timeout = self.settings.idle_timeout
        if timeout is None:
            member.wake.acquire()
            return
        until = member.since + timeout
        while not member.wake.acquire(timeout=min(threading.TIMEOUT_MAX, max(0.001, until - monotonic()))):
            with self.lock:
                now = monotonic()
                if member.is_idle and now >= until:
                    self._fit(now)  # dismisses it, unless the minimum needs it
                    until = now + timeout
            self.after()

    def finish(self, member: Member, task: ThreadTask, value: Any, error: BaseException | None) -> None:
        """See Desk."""
        now = monotonic()
        with self.lock:
            if member.task is not task:  # given up: whoever waited knows
                return
            member.task = None
            self.running -= 1
            member.tasks += 1
            if task.is_limited:
                self.deadlines.remove(task)
            waited, ran = task.began - task.queued, now - task.began
            again = False
            if error is None:
                self.ledger.completed(waited, ran)
                member.errors_in_a_row = 0
            else:
                if isinstance(error, SystemExit):
                    error = _died(task, error)
                self._blame(member, error)
                again = self._try_again(task, error, waited, ran, now)
                if not again:
                    self.ledger.failed(waited, ran)
            member.is_settling = not again
            if task.replies is not None and not self.listeners.tasks:
                self.crew.expect(member)  # nothing of others runs until it looks for the next task
            limit = self.settings.max_tasks_per_worker
            if limit is not None and member.tasks >= limit:
                member.leaves = member.leaves or f"{member.tasks} tasks done"
            if self._blocked:
                self._freed()
        if not again:
            task.settle(value, error)
            if self.listeners.tasks:
                kind: Kind = "task_completed" if error is None else "task_failed"
                self.listeners.emit(kind, now, task=task.label, worker=member.name, error=error)
        error = None  # it holds this frame

    def _blame(self, member: Member, error: BaseException) -> None:
        member.errors += 1
        member.errors_in_a_row += 1
        limit = self.settings.max_errors
        if isinstance(error, WorkerDied):
            member.is_lost = True
            member.leaves = error.reason
        elif limit is not None and member.errors_in_a_row > limit:
            member.is_lost = True
            member.leaves = f"{member.errors_in_a_row} errors in a row"

    def _try_again(self, task: ThreadTask, error: BaseException, waited: float, ran: float, now: float) -> bool:
        deadline = task.options.deadline
        if task.tries <= 0 or (deadline is not None and now >= task.submitted + deadline):
            return False
        task.tries -= 1
        task.member = None
        task.queued = now
        self.ledger.retried(waited, ran)
        self._tell_of("task_retried", task, error=error)
        if deadline is not None:
            self._set_limit(task, task.submitted + deadline)
        self.queue.push_front([task])
        return True

    def _lost(self, task: ThreadTask, member: Member, error: BaseException) -> None:
        now = monotonic()
        self.running -= 1
        self._forget_limit(task)
        self._fail(task, _died(task, error), now)
        member.is_lost = True

    def _overdue(self, task: ThreadTask, now: float) -> None:
        member = task.member
        timeout, deadline = task.options.timeout, task.options.deadline
        if member is None:
            if self.queue.discard(task):
                error = TaskTimeout(task.label, deadline or 0.0, why="no thread was free for it in time")
                self.ledger.timed_out(now - task.queued)
                self._tell_of("task_timed_out", task, error=error)
                self._afterwards(partial(task.settle, None, error))
                self._freed()
            return
        if member.task is not task:
            return
        is_late = deadline is not None and now >= task.submitted + deadline
        after = deadline if is_late and deadline is not None else timeout or 0.0
        error = TaskTimeout(task.label, after, why="its thread was given up; a thread cannot be ended")
        self._fail(task, error, now)
        self._give_up(member, f"its task {task.label} was not done in time", now)

    def _fail(self, task: ThreadTask, error: TaskTimeout | WorkerDied, now: float) -> None:
        """It was running."""
        waited, ran = task.began - task.queued, now - task.began
        if self._try_again(task, error, waited, ran, now):
            return
        if isinstance(error, TaskTimeout):
            self.ledger.timed_out(waited, ran)
            self._tell_of("task_timed_out", task, error=error)
        else:
            self.ledger.failed(waited, ran)
            self._tell_of("task_failed", task, error=error)
        self._afterwards(partial(task.settle, None, error))

    def progress(self, member: Member, value: Any) -> None:
        """See Desk."""
        task = member.task
        if task is None:
            return
        if self.listeners.tasks:
            self.listeners.emit("task_progress", monotonic(), task=task.label, worker=member.name, value=value)
        callback = task.options.on_progress
        if callback is None:
            return
        if task.replies is not None:
            task.replies.put(_progressed, callback, value)
            return
        try:
            callback(value)
        except Exception:
            _log.exception("on_progress of task %s failed", task.label)

    # -- taking tasks back --------------------------------------------------------------------------------------------

    def withdraw(self, task: ThreadTask, *, running: bool) -> bool:
        """See Canceller. A running task that an event loop awaited goes on, as it would with asyncio.to_thread."""
        with self.lock:
            member = task.member
            now = monotonic()
            if member is None:
                if not self.queue.discard(task):
                    return False
                self._forget_limit(task)
                self.ledger.cancelled(now - task.queued)
                self._freed()
            elif running and task.replies is None and member.task is task:
                self._forget_limit(task)
                self.ledger.cancelled(task.began - task.queued, now - task.began)
                self._give_up(member, f"its task {task.label} was cancelled", now)
            else:
                return False
            self._tell_of("task_cancelled", task)
            self._check_drained()
        self.after()
        return True

    def is_running(self, task: ThreadTask) -> bool:
        """See Canceller."""
        return task.member is not None


def _died(task: ThreadTask, error: BaseException) -> WorkerDied:
    code = None
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        reason = "the task raised SystemExit, which ends a thread"
    else:
        reason = f"{type(error).__name__}: {error}"
    died = WorkerDied(task.label, threading.get_native_id(), code=code, reason=reason)
    died.__cause__ = error
    return died


def _progressed(callback: Callable[[Any], object], value: Any) -> None:
    callback(value)
