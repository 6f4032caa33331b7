"""Processes that are children of this very process."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from rookery._os import kernel
from rookery.process.reaper import TABLE, Entry
from rookery.process.spawn import spawn_process
from rookery.process.tree import ProcessTree

if TYPE_CHECKING:
    from rookery._os.linux import ProcessFacts
    from rookery.lifecycle.exit import ExitStatus
    from rookery.process.protocols import Handle
    from rookery.process.spec import SpawnSpec


class LocalHandle:
    """A child of ours; see Handle."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    @property
    def pid(self) -> int:
        """See Handle."""
        return self._entry.pid

    @property
    def start_time(self) -> int:
        """See Handle."""
        return self._entry.start_time

    async def wait(self) -> ExitStatus:
        """See Handle."""
        return await asyncio.shield(self._entry.exit)

    def signal(self, number: int) -> bool:
        """See Handle."""
        if self._entry.exit.done():
            return False
        return kernel.signal_process(self.pid, self.start_time, number)

    def close(self) -> None:
        """See Handle. The wait table goes on watching a child that lives."""


class LocalSpawner:
    """Starts children of this process. fds of a spec are descriptors of ours. Use it from one event loop."""

    def __init__(self) -> None:
        self._handles: dict[tuple[str, int], LocalHandle] = {}

    async def spawn(self, spec: SpawnSpec, key: str, generation: int) -> LocalHandle:
        """See Spawner. There is no await between fork and ownership."""
        known = self._handles.get((key, generation))
        if known is not None:
            return known
        fds = {number: fd for number, fd in spec.fds.items() if isinstance(fd, int)}
        TABLE.expect()
        try:
            entry = TABLE.add(spawn_process(spec, fds), asyncio.get_running_loop())
        finally:
            TABLE.swept()
        handle = LocalHandle(entry)
        self._handles[key, generation] = handle
        entry.exit.add_done_callback(lambda _: self._handles.pop((key, generation), None))
        return handle

    def tree(self, handle: Handle, cookie: str) -> LocalTree:
        """See Spawner."""
        return LocalTree(handle.pid, handle.start_time, cookie)


class LocalTree(ProcessTree):
    """A tree below this very process: what of it came to us, we being the subreaper, and has ended is reaped.

    A zombie has no environment to read a cookie from. It is ours where an earlier look saw it in the tree, or where
    it is in a session that a living member is in.
    """

    def __init__(self, pid: int, start_time: int, cookie: str) -> None:
        super().__init__(pid, start_time, cookie)
        self._held: dict[int, float] = {}
        """When a living member was last seen in a session that is not our own."""

    def members(self) -> list[tuple[int, int]]:
        """See Tree."""
        # Before the look too: where only zombies are left in its session that is the moment it is given up. And the
        # kernel's list of our children may lack one while another ends.
        if self._session is not None:
            self._held[self._session] = time.monotonic()
        TABLE.reap_strays(self._is_ours)
        alive = super().members()
        now = time.monotonic()
        for pid, _ in alive:
            found = kernel.facts(pid)
            if found is not None and found.session != os.getsid(0):
                self._held[found.session] = now
            self.seen |= {identity for child in kernel.children(pid) if (identity := _identity(child))}
        TABLE.reap_strays(self._is_ours)
        if not alive and self._cookie and TABLE.has_strays_of(self._cookie):
            raise BlockingIOError("somebody is in the middle of an exec: look again")
        return alive

    def _is_ours(self, stray: ProcessFacts) -> bool:
        if (stray.pid, stray.start_time) in self.seen or self.in_session(stray):
            return True
        held = self._held.get(stray.session)
        # Older than that look: then it is in that very session, not in a later one of the same number.
        return held is not None and kernel.age(stray.start_time) >= time.monotonic() - held


def _identity(pid: int) -> tuple[int, int] | None:
    found = kernel.facts(pid)
    return None if found is None else (found.pid, found.start_time)
