"""The worker's side, asyncio: the channel to whoever has forked this process."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from rookery.errors import Disconnected, LinkError, ParentGone
from rookery.ipc.channel import Channel
from rookery.worker import inherited, words
from rookery.worker.beating import LoopBeat

if TYPE_CHECKING:
    from collections.abc import Generator

    from rookery.ipc.envelope import Envelope

EXIT_GRACE = 5.0


class WorkerChannel(Channel):
    """The channel to the parent, made by channel(). data: what the parent gave to fork(), or None.

    When the parent has gone, or disconnected, the process leaves with 0: where the task that opened the channel
    receives once more, else after exit_grace seconds, in which it may end by itself. Every task is cancelled then, so
    that ``finally`` runs. The parent's heartbeat is answered by the event loop: who blocks it is taken for stuck.
    heartbeat: what is known of the parent by it, or None.
    """

    def __init__(self, found: inherited.Inherited, *, exit_grace: float) -> None:
        super().__init__(found.sock, codec=found.codec, max_message=found.max_message, name="to the parent")
        self.data: Any = None
        self._is_ours = found.is_ours
        self._is_closed_here = False
        self._exits = True
        self._exit_grace = exit_grace
        self._opener = asyncio.current_task()
        self._has_said_ready = False
        self.heartbeat = None if found.heartbeat is None else LoopBeat(found.heartbeat, found.limit, self._loop)

    async def greet(self, *, exit_on_disconnect: bool | None) -> None:
        """Take the parent's welcome; Node gives none."""
        exits = True
        if self._is_ours:
            self.data, exits = words.welcomed(await self.receive())
        self._exits = exits if exit_on_disconnect is None else exit_on_disconnect
        if self._exits:
            self.on_disconnect(self._parent_left)

    async def ready(self) -> None:
        """Tell the parent that it can begin, where channel(ready=False) did not. Raises Disconnected."""
        if self._is_ours and not self._has_said_ready:
            self._has_said_ready = True
            await self.send(words.ready(os.getpid()))

    def abort(self) -> None:
        """See Channel: this side leaves, and the process lives on."""
        self._is_closed_here = True
        super().abort()

    def _end(self, error: LinkError) -> None:
        super()._end(error)
        if self.heartbeat is not None:
            self.heartbeat.close()

    async def _wait_for_message(self) -> None:
        try:
            await super()._wait_for_message()
        except Disconnected as error:
            raise self._told(error) from None

    async def _send_envelope(self, envelope: Envelope) -> None:
        try:
            await super()._send_envelope(envelope)
        except Disconnected as error:
            raise self._told(error) from None

    async def send(self, message: Any, *, fds: Any = ()) -> None:
        """See Channel."""
        try:
            await super().send(message, fds=fds)
        except Disconnected as error:
            raise self._told(error) from None

    def _told(self, error: Disconnected) -> LinkError:
        """The error for whoever used the channel: in the task that opened it, one that ends the program with 0."""
        if not self._exits or self._is_closed_here or asyncio.current_task() is not self._opener:
            return error
        return ParentGone("the parent has gone", why=error.why)

    def _parent_left(self, error: LinkError) -> None:
        if not self._is_closed_here and isinstance(error, Disconnected):
            self._loop.call_later(self._exit_grace, _leave)


def _leave() -> None:
    raise SystemExit(0)  # out of the loop: asyncio.run() cancels all tasks, and waits for them


class Opening:
    """What channel() gives: ``await`` it, or use it in ``async with``."""

    def __init__(self, *, ready: bool, exit_on_disconnect: bool | None, exit_grace: float) -> None:
        self._ready = ready
        self._exit_on_disconnect = exit_on_disconnect
        self._exit_grace = exit_grace
        self._opened: WorkerChannel | None = None

    def __await__(self) -> Generator[Any, None, WorkerChannel]:
        return self._open().__await__()

    async def __aenter__(self) -> WorkerChannel:
        self._opened = await self._open()
        return self._opened

    async def __aexit__(self, *_: object) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def _open(self) -> WorkerChannel:
        opened = WorkerChannel(inherited.take(), exit_grace=self._exit_grace)
        try:
            await opened.greet(exit_on_disconnect=self._exit_on_disconnect)
            if self._ready:
                await opened.ready()
        except BaseException:
            opened.abort()
            raise
        return opened


def channel(*, ready: bool = True, exit_on_disconnect: bool | None = None, exit_grace: float = EXIT_GRACE) -> Opening:
    """Open the way to the parent that forked this process: ``await`` it, or use it in ``async with``.

    The same for rookery.fork() and for an unmodified Node program. ready: tell the parent at once that this worker can
    begin; else do so with ready(). exit_on_disconnect: what fork() says where None (it says yes unless told otherwise).
    exit_grace: seconds. Raises UsageError where there is no such parent, LinkError, Disconnected.
    """
    return Opening(ready=ready, exit_on_disconnect=exit_on_disconnect, exit_grace=exit_grace)
