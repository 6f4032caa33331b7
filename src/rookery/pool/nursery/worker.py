"""A worker as its parent sees it: a process that another process of ours has forked."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from rookery._os import exits, kernel
from rookery.lifecycle.exit import ExitStatus
from rookery.process.guard import GUARD
from rookery.process.local import LocalTree

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_EVERY = 0.05


class WorkerHandle:
    """A worker; see Handle. Made by a nursery, and used in its event loop.

    name: as asked for; pidfd: readable when it has ended, -1 where the kernel has none, closed with the handle;
    cookie: its own ROOKERY_UNIT, which all that it starts carries too.
    """

    def __init__(self, name: str, pid: int, start_time: int, pidfd: int, cookie: str) -> None:
        self.name = name
        self.pid = pid
        self.start_time = start_time
        self.pidfd = pidfd
        self.cookie = cookie
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[ExitStatus] = self._loop.create_future()
        self._calls: list[Callable[[WorkerHandle], object]] = []
        self._forget: Callable[[], object] | None = None
        self._is_orphan = False
        self._has_ended = False
        self._timer: asyncio.TimerHandle | None = None
        self._tree = LocalTree(pid, start_time, cookie)
        GUARD.watch(pid, start_time, cookie)
        if pidfd >= 0:
            self._loop.add_reader(pidfd, self._ended)

    def __repr__(self) -> str:
        return f"<WorkerHandle {self.name!r} {self.pid} {self.status or 'running'}>"

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._exit.done()

    @property
    def status(self) -> ExitStatus | None:
        """How it ended, None while it runs."""
        return self._exit.result() if self._exit.done() else None

    async def wait(self) -> ExitStatus:
        """See Handle."""
        return await asyncio.shield(self._exit)

    def on_exit(self, call: Callable[[WorkerHandle], object]) -> None:
        """Call it with this handle once the worker has ended, from the event loop; at once where it has."""
        if self._exit.done():
            call(self)
        else:
            self._calls.append(call)

    def signal(self, number: int) -> bool:
        """See Handle."""
        return not self._exit.done() and kernel.signal_process(self.pid, self.start_time, number)

    def tree(self) -> LocalTree:
        """The worker and what it has started, not the other workers; for process.stop, also when it has ended.

        Always the same one: what it has seen once it knows for ever.
        """
        return self._tree

    def close(self) -> None:
        """Let go of it, when it has ended and what its tree had left is swept. See Handle."""
        GUARD.forget(self.pid, self.start_time)
        if self._timer is not None:
            self._timer.cancel()
        if self.pidfd >= 0:
            if not self._has_ended and not self._loop.is_closed():
                self._loop.remove_reader(self.pidfd)
            os.close(self.pidfd)
            self.pidfd = -1
        if self._forget is not None:
            self._forget()

    # -- used by the nursery ------------------------------------------------------------------------------------------

    def belongs_to(self, forget: Callable[[], object]) -> None:
        """What to call when it is closed."""
        self._forget = forget

    def settle(self, status: ExitStatus) -> None:
        """It ended so, says the server, who is its parent."""
        if self._exit.done():
            return
        self._stop_watching()
        self._exit.set_result(status)
        calls, self._calls = self._calls, []
        for call in calls:
            try:
                call(self)
            except Exception as error:
                context = {"message": f"on_exit of {self!r} failed", "exception": error}
                self._loop.call_exception_handler(context)

    def lose_server(self) -> None:
        """The server is no more: nobody will say how it ended, and it may be our child now."""
        self._is_orphan = True
        if self._exit.done():
            self._reaped()  # the server may not have come to it
        elif self._has_ended or self.pidfd < 0:
            self._look()

    def leave_to_parent(self) -> None:
        """In a forked copy of this process: it is the parent's."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def _ended(self) -> None:
        """By its pidfd. How: its zombie tells, or its pidfd, or the server that reaps it, or nobody."""
        self._stop_watching()
        status = self._reaped() if self._is_orphan else None
        if status is None:
            status = ExitStatus.from_returncode(exits.returncode(self.pid, self.start_time, self.pidfd))
        if status.returncode is not None or self._is_orphan:
            self.settle(status)

    def _stop_watching(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            if self.pidfd >= 0:
                self._loop.remove_reader(self.pidfd)

    def _reaped(self) -> ExitStatus | None:
        """How it ended where it came to us, we being the subreaper; None where it runs, or is not ours."""
        with suppress(ChildProcessError):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return ExitStatus.from_returncode(os.waitstatus_to_exitcode(status))
        return None

    def _look(self) -> None:
        """The fallback without pidfds, and the last step where the end was seen before."""
        if self.pidfd >= 0:
            self._ended()
            return
        status = self._reaped()
        if status is None and kernel.is_alive(self.pid, self.start_time):
            self._timer = self._loop.call_later(_LOOK_EVERY, self._look)
        else:
            self.settle(status or ExitStatus())
