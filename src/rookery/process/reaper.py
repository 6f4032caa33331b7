"""The wait table of a library process: one entry per child, from the fork on.

With pidfds the event loop tells when a child has ended; without them one thread waits for all. Only pids of the
table are reaped, never "any child": the process may have children that are not ours.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from rookery._os import kernel
from rookery.lifecycle.exit import ExitStatus

if TYPE_CHECKING:
    from rookery.process.spawn import Spawned

_POLL = 0.02


class Entry:
    """One child: its future exit, and the loop that hears of it."""

    def __init__(self, spawned: Spawned, loop: asyncio.AbstractEventLoop) -> None:
        self.spawned = spawned
        self.loop = loop
        self.exit: asyncio.Future[ExitStatus] = loop.create_future()


class WaitTable:
    """All children of this process that are ours. Thread-safe."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, spawned: Spawned, loop: asyncio.AbstractEventLoop) -> Entry:
        """Take a child in; called in the same breath as the fork."""
        entry = Entry(spawned, loop)
        with self._lock:
            if not self._entries:
                kernel.set_subreaper(True)  # escaped daemons come to us, so that they can be reaped once swept
            self._entries[spawned.pid] = entry
        if spawned.pidfd >= 0:
            loop.add_reader(spawned.pidfd, self._ended, entry)
        else:
            self._start_thread()
        return entry

    def _ended(self, entry: Entry) -> None:
        status = self._reap(entry)
        if status is not None:
            entry.loop.remove_reader(entry.spawned.pidfd)
            os.close(entry.spawned.pidfd)
            self._settle(entry, status)

    def _reap(self, entry: Entry) -> ExitStatus | None:
        try:
            pid, status = os.waitpid(entry.spawned.pid, os.WNOHANG)
        except ChildProcessError:  # somebody called wait() on all children: the status is lost, the end is not
            return ExitStatus()
        if pid == 0:
            return None
        return ExitStatus.from_returncode(os.waitstatus_to_exitcode(status))

    def _remove(self, entry: Entry) -> None:
        with self._lock:
            self._entries.pop(entry.spawned.pid, None)
            if not self._entries:
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
                waiting = [entry for entry in self._entries.values() if entry.spawned.pidfd < 0]
                if not waiting:
                    self._thread = None
                    return
            for entry in waiting:
                status = self._reap(entry)
                if status is not None:
                    self._remove(entry)
                    if not entry.loop.is_closed():
                        entry.loop.call_soon_threadsafe(self._settle, entry, status)
            pause.wait(_POLL)

    def reap_stray(self, pid: int, start_time: int) -> None:
        """Reap a swept descendant that came to us as its subreaper and was no child of ours by birth."""
        found = kernel.facts(pid)
        if found is None or found.start_time != start_time or found.state != "Z" or found.ppid != os.getpid():
            return
        with self._lock:
            if pid in self._entries:
                return
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

    def alive(self) -> list[int]:
        """The pids that have not been reaped."""
        with self._lock:
            return list(self._entries)


TABLE = WaitTable()
