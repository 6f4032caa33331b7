"""The keeper's children, born and adopted: spawn once, reap exactly, remember until acknowledged."""

from __future__ import annotations

import os
import time

from rookery._os import exits, kernel
from rookery.process.spawn import spawn_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery.process.spec import SpawnSpec

_KNOWN_WITHIN = 1.0


class Child:
    """One child, running or ended. returncode as in Popen, None for unknown; times are wall times."""

    __slots__ = ("ended_at", "generation", "key", "pid", "returncode", "start_time", "started_at")

    def __init__(self, key: str, generation: int, pid: int, start_time: int, started_at: float | None = None) -> None:
        self.key = key
        self.generation = generation
        self.pid = pid
        self.start_time = start_time
        self.started_at = time.time() if started_at is None else started_at
        self.returncode: int | None = None
        self.ended_at: float | None = None

    @property
    def is_app(self) -> bool:
        """Whether it is the manager's, not one of the keeper's own two."""
        return not self.key.startswith("@")

    def end(self, returncode: int | None) -> None:
        """It has ended."""
        self.returncode = returncode
        self.ended_at = time.time()

    def to_json(self) -> dict[str, object]:
        """As it goes over the wire."""
        return {name: getattr(self, name) for name in self.__slots__}


class Children:
    """All children by (key, generation). open_files: the soft limit that apps get back."""

    def __init__(self, *, filler: int, open_files: int) -> None:
        self._filler = filler
        self.open_files = open_files
        self._by_pid: dict[int, Child] = {}
        self._known: dict[tuple[str, int], Child] = {}
        self._adopted: dict[int, Child] = {}
        """By pidfd: processes whose keeper was killed. They are init's children; we watch."""
        self._ending: dict[int, float] = {}
        self._polled: list[Child] = []
        """Adopted where the kernel has no pidfd: looked at now and then."""

    def spawn(self, spec: SpawnSpec, fds: Mapping[int, int], key: str, generation: int) -> Child:
        """Start it, or return the one that was started for this key and generation before. Raises SpawnError."""
        known = self._known.get((key, generation))
        if known is not None:
            return known
        limit = None if "nofile" in spec.rlimits else self.open_files
        spawned = spawn_process(spec, fds, filler=self._filler, open_files=limit)
        if spawned.pidfd >= 0:
            os.close(spawned.pidfd)  # a child cannot be replaced before it is reaped, and only we reap
        child = Child(key, generation, spawned.pid, spawned.start_time)
        self.take_in(child)
        return child

    def take_in(self, child: Child) -> None:
        """Count it among ours, born here (again: before a re-execution)."""
        self._known[child.key, child.generation] = child
        if child.ended_at is None:
            self._by_pid[child.pid] = child

    def adopt(self, child: Child, pidfd: int | None) -> int | None:
        """Watch a process that another keeper started; return the pidfd to watch, None where it has ended or is polled.

        pidfd: a descriptor that was opened while it lived, taken over; None: it is opened now, and the start time
        tells whether the pid was used again.
        """
        known = self._known.get((child.key, child.generation))
        if known is not None:
            if pidfd is not None:
                os.close(pidfd)
            return None
        self._known[child.key, child.generation] = child
        if pidfd is None and child.ended_at is None:
            if not kernel.has_pidfd() and kernel.is_alive(child.pid, child.start_time):
                self._polled.append(child)
                return None
            pidfd = _open(child)
        if pidfd is None:
            if child.ended_at is None:
                child.end(None)
            return None
        self._adopted[pidfd] = child
        return pidfd

    def adopted_ended(self, pidfd: int) -> None:
        """An adopted one's pidfd is readable: it has ended; settle() tells how."""
        self._ending[pidfd] = time.monotonic() + _KNOWN_WITHIN

    def settle(self) -> list[Child]:
        """The adopted ones whose end is known by now, or will not become known."""
        settled = [child for child in self._polled if not kernel.is_alive(child.pid, child.start_time)]
        for child in settled:
            self._polled.remove(child)
            child.end(None)
        for pidfd, deadline in list(self._ending.items()):
            child = self._adopted[pidfd]
            returncode = exits.returncode(child.pid, child.start_time, pidfd)
            # Between the reaping and the moment in which the pidfd tells there may be a gap.
            if returncode is not None or not exits.can_tell() or time.monotonic() > deadline:
                del self._ending[pidfd], self._adopted[pidfd]
                os.close(pidfd)
                child.end(returncode)
                settled.append(child)
        return settled

    @property
    def is_settling(self) -> bool:
        """Whether settle() should be called again soon."""
        return bool(self._ending)

    @property
    def is_polling(self) -> bool:
        """Whether settle() should be called now and then."""
        return bool(self._polled)

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
                child.end(os.waitstatus_to_exitcode(status))
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
        """The apps' processes that have not ended."""
        return [child for child in self._known.values() if child.is_app and child.ended_at is None]

    def running(self) -> list[Child]:
        """Our own children that have not been reaped."""
        return list(self._by_pid.values())

    def adopted(self) -> list[tuple[int, Child]]:
        """(pidfd, child) of those that we only watch; -1 for the polled."""
        return [*self._adopted.items(), *((-1, child) for child in self._polled)]


def _open(child: Child) -> int | None:
    if not kernel.has_pidfd():
        return None
    try:
        pidfd = kernel.pidfd_open(child.pid)
    except OSError:
        return None
    # Compared after the open: from here on the descriptor is that process, or it is too late for any.
    if kernel.is_alive(child.pid, child.start_time):
        return pidfd
    os.close(pidfd)
    return None


def signal_child(child: Child, number: int) -> bool:
    """Signal it; False where it has ended."""
    return child.ended_at is None and kernel.signal_process(child.pid, child.start_time, number)
