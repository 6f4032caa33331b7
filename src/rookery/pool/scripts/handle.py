"""A script's process: a worker of fork(), whose end is told when everything that it has said was heard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rookery.errors import Disconnected, LinkError, RookeryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rookery.lifecycle.exit import ExitStatus
    from rookery.lifecycle.stop import StopPlan
    from rookery.worker.running import Worker


class ScriptHandle:
    """See RunningWorker. hear: called with each message; lost: with the reason, where the process lives on without its
    channel, which it is then stopped for (plan).
    """

    def __init__(
        self, worker: Worker, plan: StopPlan, hear: Callable[[Any], object], lost: Callable[[str], object]
    ) -> None:
        self._worker = worker
        self._plan = plan
        self._hear = hear
        self._lost = lost
        self._calls: list[Callable[[ScriptHandle], object]] = []
        loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[ExitStatus] = loop.create_future()
        self.cookie = worker.child.cookie
        self._listening = loop.create_task(self._listen())

    @property
    def pid(self) -> int:
        """See RunningWorker."""
        return self._worker.pid

    @property
    def start_time(self) -> int:
        """See RunningWorker."""
        return self._worker.child.start_time

    @property
    def is_running(self) -> bool:
        """See RunningWorker; true until its end has been told."""
        return not self._gone.done()

    @property
    def status(self) -> ExitStatus | None:
        """See RunningWorker."""
        return None if self._worker.is_running else self._worker.status

    @property
    def connected(self) -> bool:
        """Whether it can be told anything. Thread-safe."""
        return self._worker.connected

    @property
    def is_unread(self) -> bool:
        """Whether it has left before it had read everything."""
        return self._worker.channel.is_unread

    async def wait(self) -> ExitStatus:
        """See RunningWorker."""
        return await asyncio.shield(self._gone)

    def signal(self, number: int) -> bool:
        """See RunningWorker."""
        return self._worker.child.signal(number)

    def on_exit(self, call: Callable[[ScriptHandle], object]) -> None:
        """See RunningWorker."""
        if self._gone.done():
            call(self)
        else:
            self._calls.append(call)

    async def send(self, message: Any, *, fds: Sequence[int] = ()) -> None:
        """See Channel."""
        await self._worker.send(message, fds=fds)

    async def disconnect(self) -> None:
        """See Worker."""
        await self._worker.disconnect()

    async def stop(self, plan: StopPlan) -> None:
        """End it with its tree, and wait until its end has been told. Raises StopFailed."""
        await self._worker.child.stop(plan)
        await self.wait()

    def leave_to_parent(self) -> None:
        """In a forked copy of the process: close what is the parent's."""
        self._worker.channel.leave_to_parent()

    async def _listen(self) -> None:
        worker = self._worker
        try:
            while True:
                self._hear(await worker.channel.receive())
        except LinkError as error:
            if worker.is_running and not worker.channel.was_closed_here:
                self._lost(_told(error))
                await self._end()
        closed = asyncio.Event()
        worker.child.on_close(closed.set)
        await closed.wait()
        calls, self._calls = self._calls, []
        for call in calls:
            call(self)
        self._gone.set_result(worker.status)

    async def _end(self) -> None:
        """Nothing can be said to it any more."""
        try:
            await self._worker.child.stop(self._plan)
        except RookeryError as error:
            context = {"message": f"{self._worker!r} does not end", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)


def _told(error: LinkError) -> str:
    if isinstance(error, Disconnected):
        return "it has closed its channel"
    return f"it has said what is no message: {error.what}"
