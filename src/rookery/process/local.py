"""Processes that are children of this very process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rookery._os import kernel
from rookery.process.reaper import TABLE, Entry
from rookery.process.spawn import spawn_process
from rookery.process.tree import ProcessTree

if TYPE_CHECKING:
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
        return self._entry.spawned.pid

    @property
    def start_time(self) -> int:
        """See Handle."""
        return self._entry.spawned.start_time

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
        entry = TABLE.add(spawn_process(spec, fds), asyncio.get_running_loop())
        handle = LocalHandle(entry)
        self._handles[key, generation] = handle
        entry.exit.add_done_callback(lambda _: self._handles.pop((key, generation), None))
        return handle

    def tree(self, handle: Handle, cookie: str) -> LocalTree:
        """See Spawner."""
        return LocalTree(handle.pid, handle.start_time, cookie)


class LocalTree(ProcessTree):
    """A tree below this very process: what was swept and came to us is reaped too."""

    def members(self) -> list[tuple[int, int]]:
        """See Tree."""
        alive = super().members()
        for pid, start_time in self.seen.difference(alive):
            TABLE.reap_stray(pid, start_time)
        return alive
