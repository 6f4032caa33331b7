"""The wait table of a library process: one entry per child, from the fork on.

With pidfds the event loop tells when a child has ended; without them, and for children whose loop was closed, one
thread waits for all. Only pids of the table and strays that are provably of its trees are reaped, never "any child":
the process may have children that are not ours.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from rookery._os import kernel
from rookery.lifecycle.exit import ExitStatus

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from rookery._os.linux import ProcessFacts
    from rookery.process.spawn import Spawned

_POLL = 0.02


class Entry:
    """One child: its future exit, and the loop that hears of it. pidfd is -1 where the thread waits for it."""

    def __init__(self, spawned: Spawned, loop: asyncio.AbstractEventLoop) -> None:
        self.pid = spawned.pid
        self.start_time = spawned.start_time
        self.pidfd = spawned.pidfd
        self.loop = loop
        self.exit: asyncio.Future[ExitStatus] = loop.create_future()


class WaitTable:
    """All children of this process that are ours. Thread-safe.

    While there are any the process is a subreaper: what its trees leave behind comes to it and can be reaped.
    """

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._was_subreaper = False

    def add(self, spawned: Spawned, loop: asyncio.AbstractEventLoop) -> Entry:
        """Take a child in; called in the same breath as the fork."""
        entry = Entry(spawned, loop)
        with self._lock:
            if not self._entries:
                self._was_subreaper = kernel.is_subreaper()
                if not self._was_subreaper:
                    kernel.set_subreaper(True)
            self._entries[entry.pid] = entry
        self._take_over_from_closed_loops()
        if entry.pidfd >= 0:
            loop.add_reader(entry.pidfd, self._ended, entry)
        else:
            self._start_thread()
        return entry

    def _take_over_from_closed_loops(self) -> None:
        with self._lock:
            lost = [entry for entry in self._entries.values() if entry.pidfd >= 0 and entry.loop.is_closed()]
            for entry in lost:
                os.close(entry.pidfd)
                entry.pidfd = -1
        if lost:
            self._start_thread()

    def _ended(self, entry: Entry) -> None:
        status = self._reap(entry)
        if status is not None:
            entry.loop.remove_reader(entry.pidfd)
            os.close(entry.pidfd)
            self._settle(entry, status)

    def _reap(self, entry: Entry) -> ExitStatus | None:
        try:
            pid, status = os.waitpid(entry.pid, os.WNOHANG)
        except ChildProcessError:  # somebody called wait() on all children: the status is lost, the end is not
            return ExitStatus()
        if pid == 0:
            return None
        # The leader's pid was the number of its session until this moment: nobody else can have used it.
        self.reap_strays(lambda stray: stray.session == entry.pid and stray.start_time >= entry.start_time)
        return ExitStatus.from_returncode(os.waitstatus_to_exitcode(status))

    def _remove(self, entry: Entry) -> None:
        with self._lock:
            if self._entries.get(entry.pid) is not entry:  # removed before; the pid may be another child's by now
                return
            del self._entries[entry.pid]
            if not self._entries and not self._was_subreaper:
                kernel.set_subreaper(False)

    def _settle(self, entry: Entry, status: ExitStatus) -> None:
        self._remove(entry)
        if not entry.exit.done():
            entry.exit.set_result(status)

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
            for pid in kernel.children(os.getpid()):
                if pid in self._entries:
                    continue
                with suppress(OSError):  # gone meanwhile, or no descriptor left to look with
                    found = kernel.facts(pid)
                    if found is not None and found.state == "Z" and is_ours(found):
                        os.waitpid(pid, os.WNOHANG)

    def alive(self) -> list[int]:
        """The pids that have not been reaped."""
        with self._lock:
            return list(self._entries)


TABLE = WaitTable()
