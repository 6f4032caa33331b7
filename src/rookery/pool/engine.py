"""Which task goes to which worker, and what becomes of the answers. Has no thread and no loop: drivers call it.

enqueue --> an idle worker, else the queue --> fill(): as many ahead as are done in 2 ms, one packet each
                                               recall(): what a worker has not begun when another one idles,
answers --> take() under the lock --> settle() outside of it     when it is slow, or when it is gone
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import threading
from collections import Counter
from itertools import takewhile
from pickle import dumps
from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery.errors import PoolClosed, PoolFull, ResultNotSent, RookeryError, TaskNotSent, TaskTimeout
from rookery.pool import wire
from rookery.pool.chunk import packed, run_chunk, unpacked
from rookery.pool.deadlines import Deadlines
from rookery.pool.functions import FunctionBook
from rookery.pool.future import PoolFuture
from rookery.pool.interrupts import NoInterrupts
from rookery.pool.one_task import Task
from rookery.pool.pickling import encode
from rookery.pool.queue import TaskQueue
from rookery.pool.segments import Lender
from rookery.pool.settle import is_quiet, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rookery.pool.calls import TaskOptions
    from rookery.pool.events import Listeners
    from rookery.pool.future import LoopFuture
    from rookery.pool.member import Member
    from rookery.pool.settle import Answer
    from rookery.pool.status import Ledger

_are_simple = frozenset({int, float, bool, str, bytes, type(None)}).issuperset
_ENDS = frozenset({wire.RESULT, wire.ERROR, wire.RESULT_BESIDE})
_NOBODY = object()
_AHEAD = 64
_AHEAD_TIME = 0.002
_WEIGHT = 0.1
_LONGEST_COUNTED = 0.05
_SLOW = 0.002
_PUMP_EVERY = 32


class Hooks:
    """What the engine asks of who keeps house; each may be called under the lock and from any thread, and is quick."""

    def wants_workers(self) -> None:
        """Tasks wait, or a worker is to be replaced: look at how many there should be."""

    def wants_looks(self) -> None:
        """A worker idles while another one has tasks ahead, or a task with a limit was sent: look again soon."""

    def is_ready(self, member: Member) -> None:
        """A worker has started, or failed to (start_error)."""

    def is_garbled(self, member: Member) -> None:
        """What comes from a worker is no answer: a task has written into its connection."""

    def is_spent(self, member: Member) -> None:
        """A worker retires and has done all that it was given."""

    def wants_settling(self) -> None:
        """Call settle(): some of what came in runs code of others, and this is a place where that must not run."""

    def takes_over(self, future: PoolFuture[Any] | LoopFuture[Any]) -> None:
        """A task of this kind of caller was submitted: see that somebody reads the answers."""

    def is_drained(self) -> None:
        """Nothing waits or runs."""

    def may_wait(self) -> bool:
        """Whether this thread may be held up until there is room in the queue."""
        return True

    def wants_end(self, member: Member, task: Task) -> None:
        """Nobody wants the task that a worker is at any more."""

    def has_deadline(self) -> None:
        """One is due earlier than any other before."""


class Engine:
    """Thread-safe. ready: the workers that take tasks. closed: why no task is taken any more, or ""."""

    def __init__(
        self,
        ledger: Ledger,
        listeners: Listeners,
        hooks: Hooks,
        *,
        max_workers: int,
        max_tasks_per_worker: int | None,
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
        self.max_tasks = max_tasks_per_worker
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

    # -- taking tasks on ----------------------------------------------------------------------------------------------

    @property
    def breadth(self) -> int:
        """See Pooled."""
        return self.max_workers

    def chunk(
        self, function: Callable[..., Any], items: Sequence[Any], *, are_single: bool
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """See Chunks."""
        return run_chunk, (*self.book.number_of(function), *packed(items, are_single=are_single), are_single)

    def outcomes(self, result: Any) -> tuple[list[Any] | None, list[tuple[bool, Any]]]:
        """See Chunks."""
        return unpacked(result)

    def enqueue(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: TaskOptions,
        future: PoolFuture[Any] | LoopFuture[Any],
    ) -> None:
        """See Pooled."""
        if self.closed:
            raise PoolClosed(self.closed)
        try:
            number, definition = self.book.number_of(function)
            # The most usual arguments need no more than this.
            is_simple = not kwargs and _are_simple(map(type, args))
            stream, buffers = (dumps((args, kwargs), 5), None) if is_simple else encode((args, kwargs))
        except Exception as error:
            future.settle(None, _not_sent("the task cannot be pickled", error))
            return
        task = Task(next(self._numbers), number, definition, stream, options, future, function)
        if buffers or len(stream) > wire.INLINE:
            try:
                self._beside(task, [stream, *(buffers or ())])
            except (RookeryError, OSError) as error:  # no memory, or no descriptor
                future.settle(None, _not_sent("there is no shared memory for the task", error))
                return
        future.task = task
        with self.lock:
            try:
                self._add(task, future)
            except BaseException:
                with NoInterrupts():
                    self._undo(task)
                raise
        if self._unpumped >= _PUMP_EVERY:
            self.pump()

    def _beside(self, task: Task, parts: list[Any]) -> None:
        if task.options.retries:
            task.parts = [bytes(part) for part in parts]
        self._lend(task, parts)

    def _lend(self, task: Task, parts: list[Any]) -> None:
        loan = self.lender.lend(parts)
        task.loan = loan
        task.flags = wire.BESIDE
        task.payload = wire.described(loan.number, loan.size, loan.offsets)

    def _add(self, task: Task, future: PoolFuture[Any] | LoopFuture[Any]) -> None:
        if self.max_queue is not None and not self.idle and len(self.queue) >= self.max_queue:
            self._wait_for_room(future)
        if self.closed:
            raise PoolClosed(self.closed)
        if future.home is not self.home:
            self.hooks.takes_over(future)
        self.pending += 1
        task.is_counted = True
        self.ledger.submitted()
        if self.listeners.tasks:
            self.listeners.emit("task_queued", task.queued_at, task=task.name)
        if task.options.deadline is not None:
            first, due = self.due.next(), task.queued_at + task.options.deadline
            self.due.set(task, due)
            if first is None or due < first:
                self.hooks.has_deadline()
        while self.idle and not len(self.queue):
            member = self.idle.pop()
            if member.is_idle and self._send(member, task):
                member.is_idle = False
                return
        self.queue.push(task, task.priority)
        self._unpumped += 1
        if len(self.ready) < self.max_workers:
            self.hooks.wants_workers()

    def _undo(self, task: Task) -> None:
        """Its submission was interrupted, anywhere in the middle; the lock is held."""
        if not task.is_counted:  # refused, before anything was done
            task.settled = True
            if task.loan is not None:
                self.lender.give_back(task.loan.number)
            return
        self.queue.mend()
        if task.member is None or task.number not in task.member.sent:
            self.queue.discard(task)
            task.settled = True
            self.pending -= 1
        for member in self.ready:
            member.is_idle = not member.sent
            for limit, count in Counter(one.options.timeout for one in member.sent.values()).items():
                if limit is not None:  # too many do no harm
                    self.limits[limit] = max(self.limits.get(limit, 0), count)
        self.idle = [member for member in self.ready if member.is_idle]
        self.ledger.submitted(self.pending - self.ledger.pending)
        self.feed()
        self.hooks.wants_workers()
        self.hooks.wants_looks()
        self.check_drained()

    def _wait_for_room(self, future: PoolFuture[Any] | LoopFuture[Any]) -> None:
        limit = self.max_queue
        assert limit is not None
        if not self.waits:
            raise PoolFull(limit)
        # Who awaits the other kind waits anyway, and no loop is to be held up; nor are we ourselves.
        if isinstance(future, PoolFuture) and self.hooks.may_wait():
            self.room.wait_for(lambda: len(self.queue) < limit or self.closed)

    # -- giving them out ----------------------------------------------------------------------------------------------

    def _send(self, member: Member, task: Task) -> bool:
        flags = wire.SAYS_BEGUN if self.listeners.tasks else 0
        if not member.send(task, self.lender, flags):
            if not member.sent:
                self.hooks.wants_looks()  # no memory or no descriptor for now: nothing else would try it again
            return False
        limit = task.options.timeout
        if limit is not None:
            is_new = limit not in self.limits
            self.limits[limit] = self.limits.get(limit, 0) + 1
            if is_new:
                self.hooks.wants_looks()
        return True

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

    # -- answers ------------------------------------------------------------------------------------------------------

    def take(self, member: Member) -> bool:
        """Read what a worker has said, and give it more to do; whether it said anything. settle() is to follow."""
        with self.lock:
            if not member.is_open:
                return False
            try:
                data, fds = wire.receive(member.replies, wire.READ)
            except (BlockingIOError, ConnectionError):
                return False
            if fds:
                member.fds.extend(fds)
            if not data:
                member.is_at_end = True
                return False
            if member.is_garbled:  # nobody knows where the next answer would begin
                return True
            self.keep(self._parse(member, member.rest + data if member.rest else data))
            member.last_reply = monotonic()
            self.fill(member)
            return True

    def _parse(self, member: Member, data: bytes) -> list[Answer]:
        answers: list[Answer] = []
        view = memoryview(data)
        unpack, header = wire.FRAME.unpack_from, wire.FRAME.size
        sent, at, end = member.sent, 0, len(data)
        done, run_time, name = 0, self._run_time, member.name
        waits: list[float] = []
        runs: list[float] = []
        while end - at >= header:
            number, kind, length, began, ended = unpack(data, at)
            start = at + header
            after = start + length
            if after > end or kind > wire.KINDS:
                break
            at = after
            if kind not in _ENDS:
                self._other(member, number, kind, view[start:after], began, answers)
                continue
            task = sent.pop(number, None)
            if task is None:
                self._drop(member, kind)
                continue
            done += 1
            run = ended - began
            if ended:
                run_time += _WEIGHT * ((run if run < _LONGEST_COUNTED else _LONGEST_COUNTED) - run_time)
            if task.was_defined:
                task.was_defined = False
                member.knows(task.function)
            options = task.options
            if options.timeout is not None:
                self._unlimit(task)
            if task.settled:
                self._drop(member, kind)
            elif kind == wire.RESULT:
                task.settled = True
                if member.errors_in_row:
                    member.errors_in_row = 0
                if options.deadline is not None:
                    self.due.remove(task)
                waits.append(began - task.queued_at)
                runs.append(run)
                answers.append((task, kind, view[start:after], name, ended))
            else:
                self._answered(member, task, kind, view[start:after], began, ended, answers)
        if waits:
            self.pending -= len(waits)
            self.ledger.completed_all(waits, runs)
        member.rest = data[at:] if at < end else b""
        if end - at >= header and unpack(data, at)[1] > wire.KINDS:
            member.rest, member.is_garbled = b"", True
            self.hooks.is_garbled(member)
        member.done += done
        if done:
            self._run_time = run_time
            self._window = max(1, int(_AHEAD_TIME / run_time)) if run_time > _AHEAD_TIME / _AHEAD else _AHEAD
            if self.max_tasks is not None and member.done >= self.max_tasks and not member.retires:
                self.retire(member, f"{member.done} tasks done")
        return answers

    def _answered(
        self, member: Member, task: Task, kind: int, payload: Any, began: float, ended: float, answers: list[Answer]
    ) -> None:
        """Count an error or a result in shared memory; what is left to do is settling its future."""
        wait = began - task.queued_at
        run = ended - began if ended else 0.0
        if kind == wire.ERROR:
            member.errors += 1
            member.errors_in_row += 1
            if self.max_errors is not None and member.errors_in_row > self.max_errors and not member.retires:
                self.retire(member, f"{member.errors_in_row} errors in a row")
            if task.attempts <= task.options.retries:
                self.ledger.retried(wait, run)
                self.again(task, "it failed")
                return
            self.ledger.failed(wait, run)
        else:
            self.ledger.completed(wait, run)
        task.settled = True
        self.pending -= 1
        self.due.remove(task)
        if kind == wire.RESULT_BESIDE:
            member.give_back()
            number, size, offsets = wire.parts_of(payload)
            try:
                if not member.fds:
                    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # so it did not get through
                payload = member.borrower.take(member.borrower.borrow(number, member.fds.popleft(), size), offsets)
            except (RookeryError, OSError) as error:
                kind, payload = wire.LOST, ResultNotSent("the result does not get here", why=str(error))
                payload.__cause__ = error
                self.ledger.came_to_nothing()
        answers.append((task, kind, payload, member.name, ended or began))

    def _drop(self, member: Member, kind: int) -> None:
        """An answer that nobody waits for any more."""
        if kind == wire.RESULT_BESIDE and member.fds:
            os.close(member.fds.popleft())

    def _other(
        self, member: Member, number: int, kind: int, payload: memoryview, began: float, answers: list[Answer]
    ) -> None:
        if kind in (wire.PROGRESS, wire.BEGUN):
            task = member.sent.get(number)
            if task is not None and not task.settled:
                answers.append((task, kind, payload, member.name, began))
        elif kind == wire.RELEASED:
            self.lender.give_back(number)
            for held, loans in list(member.holds.items()):
                if number in loans:
                    loans.remove(number)
                    if not loans:
                        del member.holds[held]
        elif kind == wire.UNKNOWN:
            task = member.sent.pop(number, None)
            if task is not None:
                member.known.discard(task.function)
                self._unlimit(task)
                if not task.settled:
                    task.member = None
                    self.queue.push_front([task])
        elif kind in (wire.READY, wire.START_FAILED):
            answers.append((member, kind, payload, member.name, began))

    def keep(self, answers: list[Answer]) -> None:
        """These are to be settled; the lock is held."""
        self.in_hand += len(answers)
        self._outbox += answers

    def settle(self, *, inside: bool = False) -> None:
        """Give futures their results, in the order in which they were taken: one thread at a time does so, for all.

        inside: of a caller's submit, where no code of others may run.
        """
        while self._outbox and self._turn.acquire(blocking=False):
            count = 0
            try:
                with self.lock:
                    answers, self._outbox = self._outbox, []
                    if inside:
                        quiet = list(takewhile(is_quiet, answers))
                        self._outbox = answers[len(quiet) :]
                        answers = quiet
                    count = len(answers)
                settle(self, answers)
            finally:
                self._turn.release()
                self.is_settled(count)
            if inside and self._outbox:
                self.hooks.wants_settling()
                return

    def is_settled(self, count: int = 1) -> None:
        """So many of those in hand have been told to their futures."""
        with self.lock:
            self.in_hand -= count
            self.check_drained()

    def pump(self) -> None:
        """Take answers in the middle of many submits: so workers are kept busy by a caller who gives nobody a turn."""
        with NoInterrupts():
            self._unpumped = 0
            self.pumped_at = monotonic()
            for member in list(self.ready):
                self.take(member)
            self.settle(inside=True)

    # -- workers come and go ------------------------------------------------------------------------------------------

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

    def lose(self, member: Member) -> list[Task]:
        """A worker has ended: all it said is taken, what it had not begun goes to others; return what it was at."""
        while self.take(member) or self._has_more(member):
            continue
        self.settle()
        with self.lock:
            member.retires = member.retires or "it has ended"
            member.is_idle = False
            if member in self.ready:
                self.ready.remove(member)
                self.ledger.workers(len(self.ready), monotonic())
            self.recall(member)
            begun = member.at_work()[0]
            unbegun = [task for task in member.sent.values() if task.number != begun]  # read, and no more than that
            victims = [task for task in member.sent.values() if task.number == begun]
            for task in member.sent.values():
                self._unlimit(task)
                task.member = None
            unbegun = [task for task in unbegun if not task.settled]
            kept = {task.loan.number for task in unbegun if task.loan is not None}
            for loans in member.holds.values():
                self.lender.give_back_all(number for number in loans if number not in kept)
            member.holds.clear()
            member.sent.clear()
            self.queue.push_front(unbegun)
            self.feed()
            if len(self.queue):
                self.hooks.wants_workers()
            return [task for task in victims if not task.settled]

    def _has_more(self, member: Member) -> bool:
        try:
            return bool(member.replies.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def again(self, task: Task, why: str, error: BaseException | None = None) -> None:
        """A task is tried once more; the lock is held."""
        task.attempts += 1
        task.member = None
        if task.parts is not None:  # the first try may have changed what it was lent
            try:
                self._lend(task, list(task.parts))
            except (RookeryError, OSError) as failed:
                self.fail(task, _not_sent("there is no shared memory to try the task again", failed))
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

    # -- taking tasks back --------------------------------------------------------------------------------------------

    def withdraw(self, task: Task, *, running: bool) -> bool:
        """See Canceller."""
        with NoInterrupts(), self.lock:
            if task.settled or not task.is_counted:
                return False
            member = task.member
            if member is None:
                self.queue.discard(task)
            elif task.number in member.sent:
                self.recall(member)
                if task.member is None:
                    self.queue.discard(task)
                elif not running:
                    self.fill(member)
                    return False
                else:
                    self.hooks.wants_end(member, task)
                self.fill(member)
            self.finish(task)
            self.ledger.cancelled()
            if self.listeners.tasks:
                self.listeners.emit("task_cancelled", monotonic(), task=task.name)
            self.check_drained()
            return True

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

    def is_running(self, task: Task) -> bool:
        """See Canceller."""
        with self.lock:
            member = task.member
            return member is not None and member.is_open and member.at_work()[0] == task.number


def _not_sent(what: str, error: BaseException) -> TaskNotSent:
    failed = TaskNotSent(what, why=f"{type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed
