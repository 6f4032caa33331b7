"""The keeper's children: spawn once, reap exactly, remember until acknowledged."""

from __future__ import annotations

import os
import time

from rookery._os import kernel
from rookery.process.spawn import spawn_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery.process.spec import SpawnSpec


class Child:
    """One child, running or ended. returncode as in Popen; times are wall times."""

    __slots__ = ("ended_at", "generation", "key", "pid", "returncode", "start_time", "started_at")

    def __init__(self, key: str, generation: int, pid: int, start_time: int) -> None:
        self.key = key
        self.generation = generation
        self.pid = pid
        self.start_time = start_time
        self.started_at = time.time()
        self.returncode: int | None = None
        self.ended_at: float | None = None

    @property
    def is_app(self) -> bool:
        """Whether it is the manager's, not one of the keeper's own two."""
        return not self.key.startswith("@")

    def to_json(self) -> dict[str, object]:
        """As it goes over the wire."""
        return {name: getattr(self, name) for name in self.__slots__}


class Children:
    """All children by (key, generation). open_files: the soft limit that apps get back."""

    def __init__(self, *, filler: int, open_files: int) -> None:
        self._filler = filler
        self._open_files = open_files
        self._by_pid: dict[int, Child] = {}
        self._known: dict[tuple[str, int], Child] = {}

    def spawn(self, spec: SpawnSpec, fds: Mapping[int, int], key: str, generation: int) -> Child:
        """Start it, or return the one that was started for this key and generation before. Raises SpawnError."""
        known = self._known.get((key, generation))
        if known is not None:
            return known
        limit = None if "nofile" in spec.rlimits else self._open_files
        spawned = spawn_process(spec, fds, filler=self._filler, open_files=limit)
        if spawned.pidfd >= 0:
            os.close(spawned.pidfd)  # a child cannot be replaced before it is reaped, and only we reap
        child = Child(key, generation, spawned.pid, spawned.start_time)
        self._by_pid[child.pid] = child
        self._known[key, generation] = child
        return child

    def reap(self) -> list[Child]:
        """Reap whatever has ended, our own children and orphans that came to us; return our own."""
        ended: list[Child] = []
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return ended
            if found is None:
                return ended
            child = self._by_pid.pop(found.si_pid, None)
            _, status = os.waitpid(found.si_pid, 0)
            if child is not None:
                child.returncode = os.waitstatus_to_exitcode(status)
                child.ended_at = time.time()
                ended.append(child)

    def get(self, key: str, generation: int) -> Child | None:
        """That child, running or not yet acknowledged."""
        return self._known.get((key, generation))

    def forget(self, key: str, generation: int) -> None:
        """Its exit has been written down. A child that runs is not forgotten."""
        child = self._known.get((key, generation))
        if child is not None and child.ended_at is not None:
            del self._known[key, generation]

    def all(self) -> list[Child]:
        """Everything that runs or is not yet acknowledged."""
        return list(self._known.values())

    def apps_running(self) -> list[Child]:
        """The apps' processes that have not been reaped."""
        return [child for child in self._by_pid.values() if child.is_app]

    def running(self) -> list[Child]:
        """What has not been reaped."""
        return list(self._by_pid.values())


def signal_child(child: Child, number: int) -> bool:
    """Signal it; False where it has ended."""
    return child.ended_at is None and kernel.signal_process(child.pid, child.start_time, number)
