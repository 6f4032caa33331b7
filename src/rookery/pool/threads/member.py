"""One worker of a thread pool: what its thread does."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Protocol

from rookery.pool.threads.here import here

if TYPE_CHECKING:
    from rookery.pool.rules.status import WorkerState
    from rookery.pool.threads.settings import ThreadSettings
    from rookery.pool.threads.task import ThreadTask

_log = logging.getLogger("rookery.pool")


class Desk(Protocol):
    """The pool, as its threads see it."""

    settings: ThreadSettings

    def arrived(self, member: Member) -> bool:
        """It is ready; False where it is not wanted any more."""
        ...

    def take(self, member: Member) -> ThreadTask | None:
        """Its next task, waiting for one; None: leave."""
        ...

    def finish(self, member: Member, task: ThreadTask, value: Any, error: BaseException | None) -> None:
        """What became of it; settles the future, unless the member was given up meanwhile."""
        ...

    def progress(self, member: Member, value: Any) -> None:
        """The task of the member tells how far it is."""
        ...

    def start_failed(self, member: Member, error: BaseException) -> None:
        """The initializer raised."""
        ...

    def crashed(self, member: Member, error: BaseException) -> None:
        """Something outside of a task raised in its thread."""
        ...


class Member:
    """All but the thread's own work is guarded by the pool's lock.

    task: what it runs; is_settling: it tells a future its result, which may run callbacks; leaves: why it is to leave
    after its task, or ""; is_lost: and is to be replaced; is_blocked: its task waits for room in the queue;
    is_given_up: it ran for too long, and nobody waits for it any more.
    """

    def __init__(self, desk: Desk, name: str, now: float, *, restarts: int) -> None:
        self._desk = desk
        self.name = name
        self.born = self.since = self.ready_at = now
        self.restarts = restarts
        self.wake = threading.Lock()
        self.wake.acquire()
        self.is_ready = False
        self.is_idle = False
        self.is_woken = False
        self.is_settling = False
        self.is_given_up = False
        self.is_blocked = False
        self.is_lost = False
        self.leaves = ""
        self.task: ThreadTask | None = None
        self.tasks = 0
        self.errors = 0
        self.errors_in_a_row = 0
        self.thread = threading.Thread(target=self._main, name=name, daemon=True)

    @property
    def state(self) -> WorkerState:
        """For the status."""
        if self.is_given_up or (self.leaves and self.task is None):
            return "stopping"
        if self.task is not None:
            return "busy"
        return "idle" if self.is_ready else "starting"

    def belongs_to(self, desk: object) -> bool:
        """Whether it is a worker of that pool."""
        return self._desk is desk

    def report(self, value: Any) -> None:
        """See thread_here.report."""
        self._desk.progress(self, value)

    def _main(self) -> None:
        here.member = self
        try:
            if self._prepare():
                self._work()
        except BaseException as error:
            # Nothing of ours raises here; an exception may be thrown into a thread, though, and memory may end.
            _log.critical("a thread of a pool broke", exc_info=error)
            self._desk.crashed(self, error)
        finally:
            here.member = None

    def _prepare(self) -> bool:
        settings = self._desk.settings
        if settings.initializer is not None:
            try:
                settings.initializer(*settings.initargs)
            except BaseException as error:
                self._desk.start_failed(self, error)
                return False
        return self._desk.arrived(self)

    def _work(self) -> None:
        take = self._desk.take
        while (task := take(self)) is not None:
            self._do(task)
            del task  # an idle thread keeps nothing of what it did

    def _do(self, task: ThreadTask) -> None:
        value, failure, context = None, None, None
        try:
            # A try that was given up may still be in the context, and has changed what it liked.
            context = task.context.copy() if task.options.retries else task.context
            value = context.run(task.function, *task.args, **task.kwargs)
        except BaseException as error:
            failure = error
        try:
            self._desk.finish(self, task, value, failure)
        finally:
            del value, failure, task, context  # the traceback holds this frame, and so would be in a circle
