"""The wait table of a library process: one entry per child, from the fork on.

With pidfds the event loop tells when a child has ended; without them, and for children whose loop was closed, one
thread waits for all. Only pids of the table and strays that are provably of its trees are reaped, never "any child":
the process may have children that are not ours.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from rookery._os import kernel
from rookery.lifecycle.exit import ExitStatus
from rookery.process.readiness import readiness
from rookery.process.tree import INDEX, may_carry

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator

    from rookery._os.linux import ProcessFacts
    from rookery.process.readiness import Readiness
    from rookery.process.spawn import Spawned

_POLL = 0.02
_WENT_WELL = ExitStatus(code=0)


class Entry:
    """One child: its future exit, and the loop that hears of it. pidfd is -1 where the thread waits for it.

    cookie: what it was started with, or ""; on_exit: called in the loop in the moment of its reaping. has_strays:
    whether, when it was reaped, something that is provably of its tree had come to us and lived (strays), or nobody
    can tell.
    """

    def __init__(
        self,
        spawned: Spawned,
        loop: asyncio.AbstractEventLoop,
        *,
        cookie: str = "",
        on_exit: Callable[[ExitStatus], None] | None = None,
    ) -> None:
        self.pid = spawned.pid
        self.start_time = spawned.start_time
        self.pidfd = spawned.pidfd
        self.loop = loop
        self.exit: asyncio.Future[ExitStatus] = loop.create_future()
        self.cookie = cookie
        self.on_exit = on_exit
        self.has_strays = False
        self.strays: set[tuple[int, int]] = set()
        self.readiness: Readiness | None = None


class WaitTable:
    """All children of this process that are ours. Thread-safe.

    While there are any, and while the tree of one is swept, the process is a subreaper: what its trees leave behind
    comes to it and can be reaped.
    """

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._was_subreaper = False
        self._sees_strays = False
        self._sweeps = 0
        self._loops: dict[asyncio.AbstractEventLoop, int] = {}
        """How many entries each loop has."""
        self.others: set[int] = set()
        """Children of ours that are in nobody's tree, such as the guardian."""

    def add(
        self,
        spawned: Spawned,
        loop: asyncio.AbstractEventLoop,
        *,
        cookie: str = "",
        on_exit: Callable[[ExitStatus], None] | None = None,
        watch: Readiness | None = None,
    ) -> Entry:
        """Take a child in; called in the same breath as the fork. watch: the loop's. See Entry for the rest."""
        entry = Entry(spawned, loop, cookie=cookie, on_exit=on_exit)
        with self._lock:
            self._become_subreaper()
            self._entries[entry.pid] = entry
            self._loops[loop] = self._loops.get(loop, 0) + 1
            has_others = len(self._loops) > 1
        if has_others:
            self._take_over_from_closed_loops()
        if entry.pidfd >= 0:
            entry.readiness = watch or readiness(loop)
            entry.readiness.add(entry.pidfd, partial(self._ended, entry))
        else:
            self._start_thread()
        return entry

    def expect(self) -> None:
        """A child is about to be started; swept() once it is in the table, or was not.

        What it starts may be orphaned before add() is reached, on a busy machine: it is to come to us by then.
        """
        with self._lock:
            self._become_subreaper()
            self._sweeps += 1

    def _become_subreaper(self) -> None:
        if not self._entries and not self._sweeps:
            self._was_subreaper = self._sees_strays = kernel.is_subreaper()
            if not self._was_subreaper:
                self._sees_strays = kernel.set_subreaper(True)

    def _take_over_from_closed_loops(self) -> None:
        with self._lock:
            lost = [entry for entry in self._entries.values() if entry.pidfd >= 0 and entry.loop.is_closed()]
            for entry in lost:
                if entry.readiness is not None:
                    with suppress(RuntimeError):  # the loop's own readers have gone with it
                        entry.readiness.remove(entry.pidfd)
                    entry.readiness = None
                os.close(entry.pidfd)
                entry.pidfd = -1
        if lost:
            self._start_thread()

    def _ended(self, entry: Entry) -> None:
        status = self._reap(entry)
        if status is not None:
            if entry.readiness is not None:
                entry.readiness.remove(entry.pidfd)
                entry.readiness = None
            os.close(entry.pidfd)
            self._settle(entry, status)

    def _reap(self, entry: Entry) -> ExitStatus | None:
        try:
            pid, status = os.waitpid(entry.pid, os.WNOHANG)
        except ChildProcessError:  # somebody called wait() on all children: the status is lost, the end is not
            return ExitStatus()
        if pid == 0:
            return None
        self._look_for_strays(entry)
        return ExitStatus.from_returncode(os.waitstatus_to_exitcode(status)) if status else _WENT_WELL

    def _look_for_strays(self, entry: Entry) -> None:
        """Reap the zombies of its session, and see whether anybody of its tree is left.

        A subreaper is its orphans' parent before it can hear of the leader's end, so that nobody of the tree is left
        where no stranger is among our children. The leader's pid was the number of its session until this moment:
        nobody else can have used it.
        """
        entry.has_strays = not self._sees_strays
        if len(self._entries) < 2 and not self.others and not kernel.has_children():
            return  # without a guardian, and one after the other: the cheaper question
        try:
            adopted = set(kernel.adopted()) if entry.readiness is None else entry.readiness.adopted()
            if adopted.difference(self._entries, self.others):
                self._look_at_strangers(entry, adopted)
            adopted.discard(entry.pid)
        except OSError:  # no descriptor left to look with: nobody can tell
            entry.has_strays = True

    def _look_at_strangers(self, entry: Entry, adopted: set[int]) -> None:
        with self._lock:
            for stray in self._strangers(adopted):
                in_session = stray.session == entry.pid and stray.start_time >= entry.start_time
                if stray.state == "Z":
                    if in_session:
                        os.waitpid(stray.pid, os.WNOHANG)
                elif in_session or (entry.cookie and INDEX.cookie(stray) == entry.cookie):
                    entry.has_strays = True
                    entry.strays.add((stray.pid, stray.start_time))
                elif may_carry(stray, entry.cookie):
                    entry.has_strays = True

    def _strangers(self, adopted: Iterable[int]) -> Iterator[ProcessFacts]:
        """Our children that we did not start, zombies too; called with the lock held. Raises OSError."""
        for pid in set(adopted).difference(self._entries, self.others):
            found = kernel.facts(pid)
            if found is not None:
                yield found

    def _remove(self, entry: Entry) -> None:
        with self._lock:
            if self._entries.get(entry.pid) is not entry:  # removed before; the pid may be another child's by now
                return
            del self._entries[entry.pid]
            self._loops[entry.loop] -= 1
            if not self._loops[entry.loop]:
                del self._loops[entry.loop]
            if entry.has_strays and entry.on_exit is not None:
                self._sweeps += 1
            if not self._entries:
                self._maybe_end()

    def swept(self) -> None:
        """What an entry with on_exit had left behind (has_strays) is gone; or what was expected has come."""
        with self._lock:
            self._sweeps -= 1
            self._maybe_end()

    def _maybe_end(self) -> None:
        if not self._entries and not self._sweeps and not self._was_subreaper:
            kernel.set_subreaper(False)

    def _settle(self, entry: Entry, status: ExitStatus) -> None:
        self._remove(entry)
        if not entry.exit.done():
            entry.exit.set_result(status)
            if entry.on_exit is not None:
                on_exit, entry.on_exit = entry.on_exit, None
                on_exit(status)

    def _start_thread(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="rookery-reaper", daemon=True)
                self._thread.start()

    def _watch(self) -> None:
        """The fallback without pidfds: look at every child in turn, end with the last one."""
        pause = threading.Event()
        while True:
            with self._lock:
                waiting = [entry for entry in self._entries.values() if entry.pidfd < 0]
                if not waiting:
                    self._thread = None
                    return
            for entry in waiting:
                status = self._reap(entry)
                if status is not None:
                    self._remove(entry)
                    with suppress(RuntimeError):  # its loop is closed: nobody is left who wants to know
                        entry.loop.call_soon_threadsafe(self._settle, entry, status)
            pause.wait(_POLL)

    def reap_strays(self, is_ours: Callable[[ProcessFacts], bool]) -> None:
        """Reap the zombies that came to us as their subreaper, are no children of ours by birth, and are ours."""
        with self._lock:
            for stray in self._strangers(kernel.adopted()):
                if stray.state == "Z" and is_ours(stray):
                    with suppress(OSError):
                        os.waitpid(stray.pid, os.WNOHANG)

    def has_strays_of(self, cookie: str) -> bool:
        """Whether something that came to us carries the cookie, or may do so. Raises OSError."""
        with self._lock:
            return any(may_carry(stray, cookie) for stray in self._strangers(kernel.adopted()))

    def alive(self) -> list[int]:
        """The pids that have not been reaped."""
        with self._lock:
            return list(self._entries)

    def forget_all(self) -> None:
        """In a forked copy of this process: they are the parent's children, not ours."""
        for entry in self._entries.values():
            if entry.pidfd >= 0:
                os.close(entry.pidfd)
        self._entries = {}
        self._loops = {}
        self._lock = threading.Lock()
        self._thread = None
        self._sweeps = 0
        self.others = set()


TABLE = WaitTable()
os.register_at_fork(after_in_child=TABLE.forget_all)
