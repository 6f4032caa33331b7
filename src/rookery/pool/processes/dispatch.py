"""Which task goes to which worker; the lock is held by who calls, but where said otherwise.

fill(): as many ahead as are done in 1 ms, one packet each; of very short ones several to a packet
recall(): what a worker has not begun, when another one idles, when it is slow, or when it is gone
"""

from __future__ import annotations

import itertools
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from rookery.errors import RookeryError, TaskNotSent, TaskTimeout
from rookery.pool.processes import wire
from rookery.pool.rules.deadlines import Deadlines
from rookery.pool.rules.queue import TaskQueue
from rookery.pool.segments.lender import Lender
from rookery.pool.values.functions import FunctionBook

if TYPE_CHECKING:
    from rookery.pool.processes.hooks import Hooks
    from rookery.pool.processes.member import Member
    from rookery.pool.processes.one_task import Task
    from rookery.pool.processes.settle import Answer
    from rookery.pool.rules.events import Listeners
    from rookery.pool.rules.status import Ledger

_NOBODY = object()
_SLOW = 0.001
_MANY = 32
_RENEW_TASKS = 1000
_RENEW_AGE = 5.0  # a start costs as much as thousands of tiny tasks


class Dispatch:
    """State of the engine, and the way of tasks to workers and back. See Engine."""

    def __init__(
        self,
        ledger: Ledger,
        listeners: Listeners,
        hooks: Hooks,
        *,
        max_workers: int,
        max_tasks_per_worker: int | Literal["auto"] | None,
        max_errors: int | None,
        max_queue: int | None,
        when_full: str,
    ) -> None:
        self.lock = threading.RLock()
        self.room = threading.Condition(self.lock)
        self.queue: TaskQueue[Task] = TaskQueue()
        self.ready: list[Member] = []
        self.idle: list[Member] = []
        self.ledger = ledger
        self.listeners = listeners
        self.hooks = hooks
        self.max_workers = max_workers
        self._renews = max_tasks_per_worker == "auto"
        self.max_tasks = None if max_tasks_per_worker == "auto" else max_tasks_per_worker
        self.max_errors = max_errors
        self.max_queue = max_queue
        self.waits = when_full == "wait"
        self.book = FunctionBook()
        self.lender = Lender()
        self.closed = ""
        self.home: Any = _NOBODY
        """The loop of the caller who reads the answers, None for the pool's own thread; see Drivers."""
        self.pending = 0
        self.limits: dict[float, int] = {}
        """The time limits of tasks that are at workers, and how many have each."""
        self.due: Deadlines[Task] = Deadlines()
        """When the tasks with a deadline are due."""
        self.pumped_at = 0.0
        self.in_hand = 0
        """What has ended, or was said, and was not told to its future yet."""
        self._outbox: list[Answer] = []
        self._turn = threading.Lock()
        self._numbers = itertools.count(1)
        self._run_time = 0.0
        self._window = 1
        self._unpumped = 0
        self._even_at = 0.0

    def _lend(self, task: Task, parts: list[Any]) -> None:
        loan = self.lender.lend(parts)
        task.loan = loan
        task.flags = wire.BESIDE
        task.payload = wire.described(loan.number, loan.size, loan.offsets)

    def _send(self, member: Member, task: Task) -> bool:
        flags = wire.SAYS_BEGUN if self.listeners.tasks else 0
        if not member.send(task, self.lender, flags):
            if not member.sent:
                self.hooks.wants_looks()  # no memory or no descriptor for now: nothing else would try it again
            return False
        if task.options.timeout is not None:
            self._limited(task.options.timeout)
        return True

    def _limited(self, limit: float) -> None:
        """A task with this time limit is at a worker."""
        is_new = limit not in self.limits
        self.limits[limit] = self.limits.get(limit, 0) + 1
        if is_new:
            self.hooks.wants_looks()

    def fill(self, member: Member) -> None:
        """Give a worker its share of what waits; the lock is held."""
        if member.retires:
            if not member.sent:
                self.hooks.is_spent(member)
            return
        queue, sent = self.queue, member.sent
        if len(self.ready) > 1:
            self._even_out(member)
        room = self._window
        if self.max_tasks is not None:
            room = min(room, self.max_tasks - member.done)
        if not len(queue):
            pass
        elif room >= _MANY:
            self._fill_up(member, room)
        else:
            while len(sent) < room:
                task = queue.pop()
                if task is None:
                    break
                if task.settled:
                    continue
                if not self._send(member, task):
                    queue.push_front([task])
                    break
        if sent:
            member.is_idle = False
        else:
            if not member.is_idle:
                self._idles(member)
            if any(len(other.sent) > 1 for other in self.ready):
                self.hooks.wants_looks()
        if self.max_queue is not None:
            self.room.notify_all()

    def _fill_up(self, member: Member, room: int) -> None:
        """Several tasks in a packet: these are so short that one each would cost more than they do themselves."""
        queue, sent = self.queue, member.sent
        if len(sent) > room // 2:  # it has enough for now; soon it gets more at once
            return
        while len(sent) < room:
            several: list[Task] = []
            alone: list[Task] = []
            size = 0
            while not alone and size < wire.INLINE and len(sent) + len(several) < room:
                task = queue.pop()
                if task is None:
                    break
                if not task.settled:
                    (several if member.takes_with_others(task) else alone).append(task)
                    size += len(task.payload)
            if not (several or alone):
                return
            if (several and not self._send_all(member, several)) or (alone and not self._send(member, alone[0])):
                queue.push_front([task for task in (*several, *alone) if task.member is None])
                return

    def _send_all(self, member: Member, tasks: list[Task]) -> bool:
        """All of them or none."""
        if len(tasks) == 1:
            return self._send(member, tasks[0])
        if not member.send_several(tasks, wire.SAYS_BEGUN if self.listeners.tasks else 0):
            # There may be room for one; where there is not, it sees to it that it is tried again.
            return self._send(member, tasks[0]) and len(tasks) == 1
        for task in tasks:
            if task.options.timeout is not None:
                self._limited(task.options.timeout)
        return True

    def _even_out(self, member: Member) -> None:
        """Take back what others have not begun: from who is at a long task, and for who has nothing from the busy."""
        now = monotonic()
        starves = not member.sent and not len(self.queue)
        if not starves and now < self._even_at:
            return
        self._even_at = now + _SLOW / 2
        for other in self.ready:
            ahead = len(other.sent) - 1
            if other is member or ahead < 1:
                continue
            if now - other.last_reply > _SLOW or (starves and ahead * self._run_time > _SLOW):
                self.recall(other)

    def recall(self, member: Member) -> None:
        """Put back into the queue, at its front, what a worker has not begun; the lock is held."""
        found = member.recall(self.lender)
        for task in found:
            self._unlimit(task)
        self.queue.push_front([task for task in found if not task.settled])
        if found and not member.sent and not member.is_idle and member in self.ready:
            self._idles(member)  # it had not come to look at any of them
            self.hooks.wants_looks()

    def _idles(self, member: Member) -> None:
        member.is_idle = True
        member.idle_since = monotonic()
        self.idle.append(member)

    def look(self) -> bool:
        """Let nobody idle while others have tasks ahead; return whether it is worth looking again soon."""
        with self.lock:
            now = monotonic()
            for member in [one for one in self.ready if len(one.sent) > 1 and now - one.last_reply > _SLOW]:
                if any(one.is_idle for one in self.ready) or len(self.queue):
                    self.recall(member)
            self.feed()
            waits = len(self.queue) or any(len(one.sent) > 1 for one in self.ready)
            return bool(waits) and any(one.is_idle for one in self.ready)

    def send_next(self, member: Member) -> None:
        """Give a worker one task, if there is one; the lock is held."""
        task = self.queue.pop()
        if task is not None and not self._send(member, task):
            self.queue.push_front([task])

    def feed(self) -> None:
        """Give what waits to those who idle; the lock is held."""
        while len(self.queue) and self.idle:
            member = self.idle.pop()
            if member.is_idle and member in self.ready:
                member.is_idle = False
                self.fill(member)
                if member.is_idle:
                    break

    def add(self, member: Member) -> None:
        """A worker is ready."""
        with self.lock:
            member.is_ready = True
            member.ready_at = member.last_reply = monotonic()
            self.ready.append(member)
            self.ledger.workers(len(self.ready), member.ready_at)
            self.fill(member)

    def retire(self, member: Member, why: str) -> None:
        """A worker is to get no more tasks; what it has not begun goes to others."""
        with self.lock:
            if member.retires:
                return
            member.retires = why
            member.is_idle = False
            if member in self.ready:
                self.ready.remove(member)
                self.ledger.workers(len(self.ready), monotonic())
            self.recall(member)
            self.feed()
            self.hooks.wants_workers()
            if not member.sent:
                self.hooks.is_spent(member)

    def is_worn(self, member: Member) -> bool:
        """Whether it has done as many tasks as one worker is to do."""
        if self.max_tasks is not None:
            return member.done >= self.max_tasks
        return self._renews and member.done >= _RENEW_TASKS and monotonic() - member.ready_at >= _RENEW_AGE

    def again(self, task: Task, why: str, error: BaseException | None = None) -> None:
        """A task is tried once more; the lock is held."""
        task.attempts += 1
        task.member = None
        if task.parts is not None:  # the first try may have changed what it was lent
            try:
                self._lend(task, list(task.parts))
            except (RookeryError, OSError) as failed:
                self.fail(task, not_sent("there is no shared memory to try the task again", failed))
                return
        if self.listeners.tasks:
            self.listeners.emit("task_retried", monotonic(), task=task.name, reason=why, error=error)
        self.queue.push_front([task])
        self.feed()

    def _unlimit(self, task: Task) -> None:
        limit = task.options.timeout
        if limit is not None and limit in self.limits:
            left = self.limits[limit] - 1
            if left:
                self.limits[limit] = left
            else:
                del self.limits[limit]

    def finish(self, task: Task) -> None:
        """A task ends without an answer, and its future is the caller's to settle; the lock is held."""
        task.settled = True
        self.pending -= 1
        self.due.remove(task)
        if task.loan is not None and task.member is None:
            self.lender.give_back(task.loan.number)

    def fail(self, task: Task, error: BaseException, worker: str = "", began: float = 0.0) -> None:
        """A task ends with an error that no worker has told; settle() is to follow. The lock is held."""
        now = monotonic()
        self.finish(task)
        times = (began - task.queued_at, now - began) if began else ()
        (self.ledger.timed_out if isinstance(error, TaskTimeout) else self.ledger.failed)(*times)
        self.keep([(task, wire.LOST, error, worker, now)])

    def check_drained(self) -> None:
        """Tell when nothing waits or runs."""
        with self.lock:
            if self.is_drained:
                self.hooks.is_drained()

    @property
    def is_drained(self) -> bool:
        """Whether nothing waits or runs, and every future knows how its task ended."""
        return not (self.pending or self.in_hand)

    def unbegun(self) -> int:
        """How many tasks wait at workers for long enough that another worker would be of use; the lock is held."""
        now = monotonic()
        found = 0
        for member in self.ready:
            ahead = len(member.sent) - 1
            if ahead > 0 and (now - member.last_reply > _SLOW or ahead * self._run_time > _SLOW):
                found += ahead
        return found

    def keep(self, answers: list[Answer]) -> None:
        """These are to be settled; the lock is held."""
        self.in_hand += len(answers)
        self._outbox += answers

    def is_settled(self, count: int = 1) -> None:
        """So many of those in hand have been told to their futures."""
        with self.lock:
            self.in_hand -= count
            if not (self.pending or self.in_hand):
                self.hooks.is_drained()


def not_sent(what: str, error: BaseException) -> TaskNotSent:
    """What a future is told whose task does not get to a worker."""
    failed = TaskNotSent(what, why=f"{type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed
