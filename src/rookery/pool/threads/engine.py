"""The inside of a thread pool, third part: its size, its status and its end."""

from __future__ import annotations

import threading
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from rookery.errors import PoolClosed, PoolError
from rookery.pool.threads import registry as thread_registry
from rookery.pool.threads.here import here
from rookery.pool.threads.lane import Dreamer, Sleeper
from rookery.pool.threads.tasks import ThreadTasks

if TYPE_CHECKING:
    from rookery.pool.rules.status import PoolStatus
    from rookery.pool.threads.lane import Waiter
    from rookery.pool.threads.settings import ThreadSettings

_SHUT_DOWN = "the pool was shut down"


class ThreadEngine(ThreadTasks):
    """All of it. Thread-safe."""

    def __init__(self, settings: ThreadSettings) -> None:
        super().__init__(settings)
        thread_registry.add(self)

    def resize(self, minimum: int, maximum: int) -> None:
        """Other limits from now on; what is too much leaves when it is idle."""
        with self.lock:
            self.crew.minimum, self.crew.maximum = minimum, maximum
            self._fit(monotonic())
            self._freed()
        self.after()

    def grow(self, count: int) -> None:
        """So many more threads now, as far as the maximum allows."""
        with self.lock:
            self._fit(monotonic(), asked=count)
        self.after()

    def status(self) -> PoolStatus:
        """How things are now."""
        with self.lock:
            now = monotonic()
            state = "closed" if self.has_ended else "closing" if self.closed else "running"
            if self.crew.is_out_of_threads:
                state = f"out of threads: {len(self.crew.given_up)} were given up and still run"
            return self.ledger.status(now, name=self.settings.name, state=state, rows=self.crew.rows(now))

    # -- waiting ------------------------------------------------------------------------------------------------------

    def drain(self, timeout: float | None) -> bool:
        """Wait until nothing waits or runs; False when the time was over before."""
        self._refuse_own("wait for the end of all tasks")
        sleeper = Sleeper()
        if not self._wait_drained(sleeper):
            return True
        return self._sleep(sleeper, timeout, self._drainers)

    async def drained(self) -> None:
        """The same for an event loop."""
        dreamer = Dreamer()
        if self._wait_drained(dreamer):
            await dreamer.future

    def _wait_drained(self, waiter: Waiter) -> bool:
        with self.lock:
            if self._is_drained or self.has_ended:
                return False
            self._drainers.append(waiter)
            return True

    def _sleep(self, sleeper: Sleeper, timeout: float | None, waiters: list[Waiter]) -> bool:
        try:
            is_over = sleeper.sleep(None if timeout is None else monotonic() + timeout)
        finally:
            with self.lock:
                if sleeper in waiters:
                    waiters.remove(sleeper)
        return is_over

    def _wait_ended(self, waiter: Waiter) -> bool:
        with self.lock:
            if self.has_ended:
                return False
            self._end_waiters.append(waiter)
            return True

    # -- the end ------------------------------------------------------------------------------------------------------

    def close(self, *, cancel: bool = False, why: str = _SHUT_DOWN) -> None:
        """Take no more tasks; what waits is done, or cancelled."""
        with self.lock:
            self.closed = self.closed or why
            if cancel:
                for task in self.queue.drain():
                    self._forget_limit(task)
                    self.ledger.cancelled()
                    self._tell_of("task_cancelled", task)
                    self._afterwards(task.cancel)
            for sleeper in self._blocked:
                sleeper.wake()
            self._blocked.clear()
            self._fit(monotonic())
            self.crew.wake_all()
            self._check_drained()
            self._check_end()
        self.after()

    def terminate(self) -> None:
        """What waits is cancelled; what runs fails with PoolClosed, and its threads are given up."""
        self.close(cancel=True)
        with self.lock:
            now = monotonic()
            for member in list(self.crew.members):
                if (running := member.task) is not None:
                    self._forget_limit(running)
                    self.ledger.failed(running.began - running.queued, now - running.began)
                    error = PoolClosed("the pool was terminated in the middle of this task")
                    self._tell_of("task_failed", running, error=error)
                    self._afterwards(partial(running.settle, None, error))
                    self._give_up(member, "the pool was terminated", now)
                elif not member.is_ready:
                    self._give_up(member, "the pool was terminated", now)
            self._check_drained()
            self._check_end()
        self.after()

    def wait_ended(self, timeout: float | None) -> bool:
        """Wait until all threads have left, but for those given up; False when the time was over before."""
        self._refuse_own("wait for the end of its pool")
        sleeper = Sleeper()
        if self._wait_ended(sleeper) and not self._sleep(sleeper, timeout, self._end_waiters):
            return False
        self._join()
        return True

    async def ended(self) -> None:
        """The same for an event loop."""
        dreamer = Dreamer()
        if self._wait_ended(dreamer):
            await dreamer.future
        self._join()

    def _join(self) -> None:
        """They have said that they leave, so it takes no time."""
        with self.lock:
            threads, self._left = self._left, []
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()
        thread_registry.remove(self)

    def _refuse_own(self, what: str) -> None:
        member = here.member
        if member is not None and member.belongs_to(self):
            raise PoolError(f"a task cannot {what}", why="it would wait for itself")

    # -- called from outside of everything ----------------------------------------------------------------------------

    def forgotten(self) -> None:
        """Nobody has the pool any more: what was given is done, and the threads leave."""
        if self.crew.members or len(self.queue):
            thread_registry.later(self.close)

    def at_exit(self) -> None:
        """See thread_registry.Owner."""
        self.close(why="the interpreter ends")
        self.wait_ended(None)

    def after_fork(self) -> None:
        """See thread_registry.Owner. The copy starts anew: empty, and able to work."""
        for member in [*self.crew.members, *self.crew.given_up]:
            member.task = None
            member.is_given_up = True
        self._make_new()
        self.has_ended = bool(self.closed)
