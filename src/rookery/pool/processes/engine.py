"""Which task goes to which worker, and what becomes of the answers. Has no thread and no loop: drivers call it.

enqueue --> an idle worker, else the queue --> fill(): as many ahead as are done in 1 ms
                                               recall(): what a worker has not begun when another one idles,
answers --> take() under the lock --> settle() outside of it     when it is slow, or when it is gone
"""

from __future__ import annotations

from collections import Counter
from pickle import dumps
from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery.errors import PoolClosed, PoolFull, RookeryError
from rookery.pool.future import PoolFuture
from rookery.pool.processes import wire
from rookery.pool.processes.answers import Answers
from rookery.pool.processes.chunk import packed, run_chunk, unpacked
from rookery.pool.processes.dispatch import not_sent
from rookery.pool.processes.interrupts import NoInterrupts
from rookery.pool.processes.one_task import Task
from rookery.pool.values.pickling import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rookery.pool.calls import TaskOptions
    from rookery.pool.future import LoopFuture

_are_simple = frozenset({int, float, bool, str, bytes, type(None)}).issuperset
_PUMP_EVERY = 32


class Engine(Answers):
    """Thread-safe. ready: the workers that take tasks. closed: why no task is taken any more, or ""."""

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
            future.settle(None, not_sent("the task cannot be pickled", error))
            return
        task = Task(next(self._numbers), number, definition, stream, options, future, function)
        if buffers or len(stream) > wire.INLINE:
            try:
                self._beside(task, [stream, *(buffers or ())])
            except (RookeryError, OSError) as error:  # no memory, or no descriptor
                future.settle(None, not_sent("there is no shared memory for the task", error))
                return
        future.task = task
        with self.lock:
            try:
                self._add(task, future)
            except BaseException:
                self._surely_undo(task)
                raise
        if self._unpumped >= _PUMP_EVERY:
            self.pump()

    def _beside(self, task: Task, parts: list[Any]) -> None:
        if task.options.retries:
            task.parts = [bytes(part) for part in parts]
        self._lend(task, parts)

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

    def _surely_undo(self, task: Task) -> None:
        is_undone = False
        while not is_undone:
            try:
                with NoInterrupts():
                    self._undo(task)
                    is_undone = True
            except KeyboardInterrupt:  # once more; the first is raised in any case
                continue

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

    def is_running(self, task: Task) -> bool:
        """See Canceller."""
        with self.lock:
            member = task.member
            return member is not None and member.is_open and member.at_work()[0] == task.number
