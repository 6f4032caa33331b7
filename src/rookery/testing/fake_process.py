"""Processes that exist on paper only and do as the test says."""

from __future__ import annotations

import asyncio
import itertools
import signal as signals
from typing import TYPE_CHECKING

from rookery.lifecycle.exit import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rookery.process.protocols import Handle
    from rookery.process.spec import SpawnSpec

_pids = itertools.count(100_000)


class FakeProcess:
    """A process on paper; see Handle.

    ignores: signals that do not end it; children: pids of descendants that live on when it ends by itself.
    signals: what was sent to it, in order.
    """

    def __init__(self, *, ignores: Iterable[int] = (), children: int = 0) -> None:
        self.pid = next(_pids)
        self.start_time = self.pid
        self.ignores = frozenset(ignores)
        self.signals: list[int] = []
        self.is_closed = False
        self.children = {next(_pids): 0 for _ in range(children)}
        self._exit: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self._exit.done()

    def exits(self, code: int = 0) -> None:
        """End by itself with that code."""
        self._exit.set_result(ExitStatus(code=code))

    def dies(self, number: int = signals.SIGKILL) -> None:
        """End by a signal that somebody else sent."""
        self._exit.set_result(ExitStatus.from_returncode(-number, name=signals.Signals(number).name))

    async def wait(self) -> ExitStatus:
        """See Handle."""
        return await asyncio.shield(self._exit)

    def signal(self, number: int) -> bool:
        """See Handle. SIGKILL and every signal that is not ignored ends it."""
        if not self.is_alive:
            return False
        self.signals.append(number)
        if number == signals.SIGKILL or number not in self.ignores:
            self.dies(number)
        return True

    def close(self) -> None:
        """See Handle."""
        self.is_closed = True


class FakeTree:
    """The tree of a FakeProcess; children end by SIGKILL only."""

    def __init__(self, process: FakeProcess) -> None:
        self._process = process

    def members(self) -> list[tuple[int, int]]:
        """See Tree."""
        leader = [(self._process.pid, self._process.start_time)] if self._process.is_alive else []
        return leader + list(self._process.children.items())

    def signal(self, member: tuple[int, int], number: int) -> bool:
        """See Tree."""
        if member[0] == self._process.pid:
            return self._process.signal(number)
        if number == signals.SIGKILL:
            self._process.children.pop(member[0], None)
        return True


class FakeSpawner:
    """Starts FakeProcesses; see Spawner.

    make: gives the next process, default one that ends at any signal; failures: errors for the next starts, in order.
    started: (spec, key, generation) of all starts; processes: what was started.
    """

    def __init__(self, make: Callable[[], FakeProcess] = FakeProcess, *, failures: Iterable[Exception] = ()) -> None:
        self._make = make
        self.failures = list(failures)
        self.started: list[tuple[SpawnSpec, str, int]] = []
        self.processes: list[FakeProcess] = []
        self._known: dict[tuple[str, int], FakeProcess] = {}

    async def spawn(self, spec: SpawnSpec, key: str, generation: int) -> FakeProcess:
        """See Spawner."""
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        known = self._known.get((key, generation))
        if known is None:
            known = self._known[key, generation] = self._make()
            self.started.append((spec, key, generation))
            self.processes.append(known)
        return known

    def tree(self, handle: Handle, cookie: str) -> FakeTree:  # noqa: ARG002
        """See Spawner."""
        assert isinstance(handle, FakeProcess)
        return FakeTree(handle)

    @property
    def last(self) -> FakeProcess:
        """The process that was started last."""
        return self.processes[-1]

    @property
    def alive(self) -> list[FakeProcess]:
        """What has not ended."""
        return [process for process in self.processes if process.is_alive]
