"""This side of the guardian: it is started with the first child that needs it, and told who lives."""

from __future__ import annotations

import atexit
import itertools
import os
import select
import signal
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from rookery import errors
from rookery._base.ids import new_scope
from rookery._os import kernel
from rookery.process.guardian import DEAF_TO
from rookery.process.kill import kill_now
from rookery.process.reaper import TABLE
from rookery.process.spawn import spawn_process
from rookery.process.spec import SpawnSpec
from rookery.process.tree import ProcessTree

if TYPE_CHECKING:
    import asyncio

    from rookery.process.reaper import Entry

_GUARD_AFTER = 0.2
NAME = "rookery-guardian"
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_CODE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from rookery.process.guardian import main; main()"


class Guard:
    """The guardian of this process, and the scope of its children's cookies. Thread-safe.

    Where it cannot be started (no processes, no descriptors left) children go on without one.
    """

    def __init__(self) -> None:
        self.scope = new_scope()
        self.pid: int | None = None
        self._start_time = 0
        self._fd = -1
        self._poll = select.poll()
        self._known: dict[tuple[int, int], str] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)  # one step: threads never get the same

    @property
    def fd(self) -> int:
        """Our end of its pipe, or -1."""
        return self._fd

    def cookie(self, *, detached: bool = False) -> str:
        """The cookie of the next child; a detached one is in a scope that nobody guards."""
        return f"{new_scope() if detached else self.scope}:c{next(self._numbers)}:1"

    def begin(self) -> None:
        """Start the guardian where there is none: from now on it knows our children by the cookie's scope."""
        with self._lock:
            if self._fd < 0 or self._poll.poll(0):  # nobody holds the other end of its pipe any more
                self._start()

    def watch(self, pid: int, start_time: int, cookie: str) -> None:
        """See that this child does not outlive us, nor what of its tree has lost the cookie."""
        with self._lock:
            self._known[pid, start_time] = cookie
            if self._fd < 0 or not self._tell(_line("+", pid, start_time, cookie)):
                self._start()

    def forget(self, pid: int, start_time: int) -> None:
        """This child and its tree have ended."""
        if (pid, start_time) not in self._known:
            return
        with self._lock:
            if self._known.pop((pid, start_time), None) is not None and self._fd >= 0:
                self._tell(_line("-", pid, start_time, ""))

    def _tell(self, line: bytes) -> bool:
        """Whether it was told. Lines are shorter than what a pipe takes in one piece."""
        try:
            os.write(self._fd, line)
        except BlockingIOError:  # it is stopped (SIGSTOP), or starved: the next one is told everything
            return False
        except OSError:  # it was killed
            return False
        return True

    def _start(self) -> None:
        self._let_go()
        read, self._fd = os.pipe()
        # It inherits what is blocked: nothing ends it before it has said that it is deaf to it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, DEAF_TO)
        try:
            # The environment is ours: where we are somebody's child in turn, it is found by that somebody's cookie.
            argv = (sys.executable, "-I", "-S", "-c", _CODE, _ROOT, NAME, self.scope)
            spawned = spawn_process(SpawnSpec(argv, cwd="/"), {0: read})
        except (errors.SpawnError, OSError):
            os.close(self._fd)
            self._fd = -1
            return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(read)
        if spawned.pidfd >= 0:
            os.close(spawned.pidfd)
        self.pid, self._start_time = spawned.pid, spawned.start_time
        TABLE.others.add(spawned.pid)
        for (pid, start_time), cookie in self._known.items():
            os.write(self._fd, _line("+", pid, start_time, cookie))
        os.set_blocking(self._fd, False)
        self._poll.register(self._fd, 0)

    def _let_go(self) -> None:
        """Of a guardian that does not listen. One that lives on would take the end of its pipe for ours: end it."""
        if self.pid is None:
            return
        kernel.signal_process(self.pid, self._start_time, signal.SIGKILL)
        with suppress(ChildProcessError):  # somebody waited for all children
            os.waitpid(self.pid, 0)
        TABLE.others.discard(self.pid)
        self._poll.unregister(self._fd)
        os.close(self._fd)
        self.pid, self._fd = None, -1

    def leave_to_parent(self) -> None:
        """In a forked copy of this process: the pipe is to end with the parent, and our children are not its."""
        if self._fd >= 0:
            os.close(self._fd)
        self.__init__()  # type: ignore[misc]


class Young:
    """Children that the guardian is told of once they have lived for a while: one timer for all of a loop.

    What ends sooner is not worth its while; by its cookie it knows it anyway.
    """

    def __init__(self) -> None:
        self._waiting: dict[asyncio.AbstractEventLoop, deque[tuple[float, Entry]]] = {}

    def add(self, entry: Entry) -> None:
        """See that it is guarded from a while on, unless it has ended by then."""
        loop = entry.loop
        waiting = self._waiting.get(loop)
        if waiting is None:
            for closed in [one for one in self._waiting if one.is_closed()]:
                self._waiting.pop(closed, None)
            waiting = self._waiting[loop] = deque()
            loop.call_later(_GUARD_AFTER, self._look, loop)
        waiting.append((loop.time() + _GUARD_AFTER, entry))

    def end_all(self) -> None:
        """At the exit of the interpreter: where there is no guardian yet, those that live are killed here."""
        for entry in [entry for waiting in self._waiting.values() for _, entry in waiting]:
            if not entry.exit.done() and GUARD.fd < 0:
                kill_now(ProcessTree(entry.pid, entry.start_time, entry.cookie))

    def forget_all(self) -> None:
        """In a forked copy of this process: they are the parent's children."""
        self._waiting = {}

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, now = self._waiting[loop], loop.time()
        # Most have ended long before it is their time: no timer for those.
        while waiting and (waiting[0][0] <= now or waiting[0][1].exit.done()):
            entry = waiting.popleft()[1]
            if not entry.exit.done():
                GUARD.watch(entry.pid, entry.start_time, entry.cookie)
        if waiting:
            loop.call_at(waiting[0][0], self._look, loop)
        else:
            del self._waiting[loop]


def _line(verb: str, pid: int, start_time: int, cookie: str) -> bytes:
    return f"{verb} {pid} {start_time} {cookie}\n".encode()


GUARD = Guard()
YOUNG = Young()
os.register_at_fork(after_in_child=GUARD.leave_to_parent)
os.register_at_fork(after_in_child=YOUNG.forget_all)
atexit.register(YOUNG.end_all)
