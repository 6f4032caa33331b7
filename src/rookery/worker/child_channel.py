"""The parent's end of a worker's channel: its end says how the worker ended.

worker dies --> end of file --> (a moment, for its exit and its last words) --> WorkerLost to everybody who waits
            '-> exit, but somebody else holds its end open --> the same
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rookery.errors import Disconnected, LinkError, WorkerLost
from rookery.ipc.arrived import Arrived, again
from rookery.ipc.channel import Channel
from rookery.ipc.inbox import MOST
from rookery.ipc.ports import close_all
from rookery.lifecycle.exit import ExitStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from rookery.ipc.envelope import Envelope
    from rookery.process.child import Child
    from rookery.worker.tail import Tail

_PATIENCE = 0.5


class ChildChannel(Channel):
    """Made by fork(). connected is false from the moment on in which the worker has closed its end.

    Where the worker has ended, the error of whoever waits is WorkerLost; where it lives on without its channel,
    Disconnected.
    """

    _child: Child[Any] | None = None
    _tail: Tail | None = None
    _timer: asyncio.TimerHandle | None = None
    _is_ending = False
    _is_closed_here = False
    blame = ""
    """Why the worker was ended by us, for the error."""
    is_wanted = False
    """Whether its end was asked for."""

    def belongs_to(self, child: Child[Any], tail: Tail) -> None:
        """Whose channel it is."""
        self._child = child
        self._tail = tail

    @property
    def connected(self) -> bool:
        """See Channel."""
        return self._error is None and not self._is_ending

    @property
    def is_unread(self) -> bool:
        """Whether the worker is known to have left before it had read everything that it was sent."""
        return self._intake.was_reset or self._writer.is_broken

    def leave_to_parent(self) -> None:
        """In a forked copy of the process: close its copy of the descriptor. Nothing is said to anybody."""
        self._port.close()

    @property
    def was_closed_here(self) -> bool:
        """Whether this side has closed it."""
        return self._is_closed_here

    @property
    def was_lost(self) -> bool:
        """Whether the worker has ended otherwise than well, and not by our wish."""
        return isinstance(self._error, WorkerLost) and self._error.returncode != 0 and not self.is_wanted

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Messages until the worker has left. Raises WorkerLost where it did not leave well, FrameError."""
        while True:
            try:
                message = await self.receive()
            except WorkerLost:
                if self.was_lost:
                    raise
                return
            except Disconnected:
                return
            yield message

    async def wait_for(self, is_it: Callable[[Any], bool]) -> Any:
        """The first message that is wanted; those before it stay, in order. Raises as receive does."""
        early: list[Any] = []
        try:
            while len(early) < MOST:
                message, fds = await self.receive_with_fds()
                if is_it(message):
                    close_all(fds)
                    return message
                early.append(Arrived(message, fds) if fds else message)
        finally:
            self._queue.extendleft(reversed(early))
        raise LinkError(f"{MOST} messages came before the one that was waited for")

    async def send(self, message: Any, *, fds: Sequence[int] = ()) -> None:
        """See Channel."""
        try:
            await super().send(message, fds=fds)
        except Disconnected as error:
            raise await self._explained(error) from None

    async def _send_envelope(self, envelope: Envelope) -> None:
        try:
            await super()._send_envelope(envelope)
        except Disconnected as error:
            raise await self._explained(error) from None

    async def _explained(self, error: Disconnected) -> LinkError:
        """A broken pipe is noticed before the end of the other direction, which will say more."""
        if self._error is None:
            try:
                async with asyncio.timeout(2 * _PATIENCE):
                    await self.wait_closed()
            except TimeoutError:
                return error
        return again(self._error) if self._error is not None else error

    def abort(self) -> None:
        """See Channel."""
        self._is_closed_here = True
        super().abort()

    def child_exited(self) -> None:
        """The worker has ended. What it has sent is there to be read; after that nothing comes any more."""
        if self._error is None and not self._is_ending:
            self._loop.call_later(_PATIENCE, self._nothing_more)

    def _nothing_more(self) -> None:
        while self._error is None and not self._is_ending:
            before = len(self._queue)
            self._readable()
            if len(self._queue) == before:
                break
        self._end(Disconnected("the worker has ended"))

    def _end(self, error: LinkError) -> None:
        if self._error is not None or self._is_closed_here or self._child is None:
            self._finish(error)
        elif not self._is_ending:
            self._is_ending = True
            self._loop.remove_reader(self._port.reading)
            self._hang_up.close()
            self._timer = self._loop.call_later(_PATIENCE, self._finish, error)
            self._child.on_close(lambda: self._finish(error))

    def _finish(self, error: LinkError) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._is_closed_here and self._error is None:
            error = self._made(error)
        super()._end(error)

    def _made(self, error: LinkError) -> LinkError:
        child = self._child
        if child is None:
            return error
        if child.is_running:
            if isinstance(error, Disconnected) and not self.blame:
                return Disconnected(f"{self.name} has closed its channel", why="the process lives on")
            return error
        return lost(self.name, child, self._tail, self.blame or (error.what if error.why else ""))


def lost(name: str, child: Child[Any], tail: Tail | None, blame: str = "") -> WorkerLost:
    """The error for a child that has ended."""
    status = status_of(child)
    lines = [] if tail is None else tail.lines()
    how = f"{blame} ({status})" if blame else str(status)
    return WorkerLost(
        f"worker {name} (pid {child.pid}) has ended",
        why="\n  ".join([how, *lines]),
        pid=child.pid,
        returncode=child.returncode,
        signal=status.signal_name,
        stderr="\n".join(lines),
    )


def status_of(child: Child[Any]) -> ExitStatus:
    """How a child has ended."""
    return ExitStatus.from_returncode(child.returncode)
