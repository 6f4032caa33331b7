"""Where the workers of a process pool come from: a fork-server, started with the first, replaced when it is lost.

nursery (event loop of the parent) ──ServerLink──► fork-server ──fork──► workers
    └──────────────── WorkerHandle: pidfd, signals, tree ───────────────────┘
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import weakref
from typing import TYPE_CHECKING

from rookery._base.clock import SystemClock
from rookery.errors import UsageError
from rookery.lifecycle.stop import SIGKILL, StopPlan
from rookery.pool.nursery.fork_server_wire import MOST_FDS
from rookery.pool.nursery.server import ServerLink, ServerLostError, ServerPlan
from rookery.pool.nursery.worker import WorkerHandle
from rookery.process.kill import kill_now
from rookery.process.options import Options
from rookery.process.stop import stop, sweep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Nursery", "WorkerHandle"]

TARGET = "rookery.pool.processes.child:main"
ANSWER_TIMEOUT = 10.0
_CLOCK = SystemClock()
_server_numbers = itertools.count(1)


class Nursery:
    """Starts workers. Use it from one event loop; in a forked copy of this process it is of no use.

    preload: modules that the fork-server imports, once for all workers; env: changes of the environment, None takes a
    variable away; name: seen in ps; target: ``module:function``, called in each worker with its descriptors and its
    argument; answer_timeout: seconds after which a fork-server that gives no sign of life is replaced.
    """

    def __init__(
        self,
        *,
        preload: Sequence[str] = (),
        env: Mapping[str, str | None] | None = None,
        name: str = "",
        target: str = TARGET,
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self._preload = tuple(map(str, preload))
        self._env = env
        self._name = name
        self._target = target
        self._limit = answer_timeout
        self._plan: ServerPlan | None = None
        self._server: ServerLink | None = None
        self._workers: set[WorkerHandle] = set()
        self._ghosts: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._owner = os.getpid()
        _ALL.add(self)

    @property
    def server_pid(self) -> int | None:
        """The fork-server's pid, None where none runs."""
        return None if self._server is None else self._server.pid

    @property
    def workers(self) -> list[WorkerHandle]:
        """All that were started and not closed."""
        return list(self._workers)

    def begin(self) -> None:
        """Start the fork-server now, where there is none, and do not wait for it. Raises SpawnError, UsageError."""
        self._link()

    async def start_worker(
        self,
        name: str,
        fds: Sequence[int],
        argument: bytes,
        *,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> WorkerHandle:
        """Start a worker; it runs when this returns.

        fds: what it is given, at other numbers; stdout, stderr: in place of ours. All stay the caller's, and are to be
        open until this returns. Many may be started at once. Cancelled, it leaves nothing behind. A fork-server that
        was lost meanwhile is replaced once.
        Raises NotReady (a preload, or the fork-server itself, fails), SpawnError, ResourcesExhausted, UsageError.
        """
        outputs = [(number, fd) for number, fd in ((1, stdout), (2, stderr)) if fd is not None]
        passed = [*(fd for _, fd in outputs), *fds]
        if len(passed) > MOST_FDS:
            raise UsageError(f"a worker is given at most {MOST_FDS} descriptors, not {len(passed)}")
        try:
            return await self._start(str(name), passed, argument, [number for number, _ in outputs])
        except ServerLostError as lost:
            if lost.is_fatal or self._is_closed:
                raise lost.error from None
        try:
            return await self._start(str(name), passed, argument, [number for number, _ in outputs])
        except ServerLostError as lost:
            raise lost.error from None

    async def _start(self, name: str, fds: Sequence[int], argument: bytes, outputs: Sequence[int]) -> WorkerHandle:
        handle = await self._link().start(name, fds, argument, outputs)
        self._workers.add(handle)
        handle.belongs_to(lambda: self._workers.discard(handle))
        return handle

    def _link(self) -> ServerLink:
        if self._is_closed or os.getpid() != self._owner:
            why = "it was closed" if os.getpid() == self._owner else "it is another process's"
            raise UsageError("no worker can be started in this nursery", hint=why)
        if self._server is None or not self._server.is_usable:
            if self._plan is None:
                self._plan = self._made_plan()
            self._server = ServerLink(self._plan, next(_server_numbers), self._lost)
        return self._server

    def _made_plan(self) -> ServerPlan:
        try:
            cwd: str | None = os.getcwd()
        except FileNotFoundError:
            cwd = None
        return ServerPlan(
            name=self._name,
            target=self._target,
            preload=self._preload,
            environ=dict(Options({"env": self._env}).environment("")),
            cwd=cwd,
            path=tuple(map(str, sys.path)),
            argv=tuple(map(str, sys.argv)),
            limit=self._limit,
        )

    def _lost(self, server: ServerLink) -> None:
        if self._server is server:
            self._server = None
        task = asyncio.get_running_loop().create_task(server.reap_ghosts())
        self._ghosts.add(task)
        task.add_done_callback(self._ghosts.discard)

    async def close(self) -> None:
        """End all that is left, workers without warning, and wait until it has ended. Cancelled, it kills all."""
        if os.getpid() != self._owner:
            return
        self._is_closed = True
        try:
            await asyncio.gather(*map(_end, self.workers), return_exceptions=True)
            if self._server is not None:
                await self._server.close()
            await asyncio.gather(*self._ghosts, return_exceptions=True)
        except asyncio.CancelledError:
            self.kill_now()
            raise
        for worker in self.workers:
            worker.close()

    def kill_now(self) -> None:
        """SIGKILL to all workers, their trees and the fork-server, without waiting for anything; close() may follow."""
        if os.getpid() != self._owner:
            return
        self._is_closed = True
        if self._server is not None:
            self._server.kill()
        for worker in self.workers:
            kill_now(worker.tree())

    def leave_to_parent(self) -> None:
        """In a forked copy of this process: let go of our copies of descriptors, and touch nothing else."""
        if self._server is not None:
            self._server.leave_to_parent()
        for worker in self._workers:
            worker.leave_to_parent()


async def _end(worker: WorkerHandle) -> None:
    if worker.is_running:
        await stop(worker, worker.tree(), StopPlan(signal=SIGKILL), _CLOCK)
    else:
        await sweep(worker.tree(), _CLOCK)


_ALL: weakref.WeakSet[Nursery] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for nursery in list(_ALL):
        nursery.leave_to_parent()


os.register_at_fork(after_in_child=_leave_all_to_parent)
