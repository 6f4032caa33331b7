"""Requests to the other side, and what becomes of them.

request --REQUEST n--> handler         answers are matched by n, which is never used again
        <--PROGRESS n--                a late answer finds nobody and is dropped
        <--REPLY n / ERROR n--         whoever gives up says CANCEL n
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery.errors import ChannelTimeout
from rookery.ipc import envelope as kinds
from rookery.ipc.arrived import WithFds, again
from rookery.ipc.envelope import Envelope
from rookery.ipc.handlers import remote_error
from rookery.ipc.ports import close_all

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rookery.errors import LinkError

MOST_CALLS = 1000
"""Requests of one side that may be underway on a channel; the next one waits."""


class _Pending(NamedTuple):
    future: asyncio.Future[WithFds]
    on_progress: Callable[[Any], object] | None


class Calls:
    """send and post: how envelopes leave; the latter does not wait."""

    def __init__(self, send: Callable[[Envelope], Awaitable[None]], post: Callable[[Envelope], None]) -> None:
        self._send = send
        self._post = post
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, _Pending] = {}
        self._slots = asyncio.Semaphore(MOST_CALLS)
        self._number = 0
        self._error: LinkError | None = None

    def __len__(self) -> int:
        return len(self._pending)

    async def call(
        self,
        kind: int,
        message: Any,
        *,
        fds: Sequence[int] = (),
        timeout: float | None,  # noqa: ASYNC109 - it is told to the other side
        on_progress: Callable[[Any], object] | None = None,
        hint: Callable[[], str] = str,
    ) -> WithFds:
        """The answer; a ping needs no turn. Cancelling reaches the other side.

        Raises RemoteError, ChannelTimeout, LinkError, UsageError.
        """
        try:
            async with asyncio.timeout(timeout), self._slots if kind == kinds.REQUEST else nullcontext():
                return await self._ask(Envelope(kind, self._new_number(), message, fds), on_progress)
        except TimeoutError:
            raise ChannelTimeout("no answer came", timeout or 0.0, hint=hint()) from None

    async def _ask(self, request: Envelope, on_progress: Callable[[Any], object] | None) -> WithFds:
        if self._error is not None:
            raise again(self._error)
        number = request.number
        future: asyncio.Future[WithFds] = self._loop.create_future()
        self._pending[number] = _Pending(future, on_progress)
        try:
            await self._send(request)
            try:
                return await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled():
                    if future.exception() is None:
                        close_all(future.result().fds)  # it came in the moment of giving up
                elif request.kind == kinds.REQUEST:
                    self._post(Envelope(kinds.CANCEL, number, None))
                raise
        finally:
            del self._pending[number]

    def take(self, answer: Envelope) -> None:
        """Give an answer to whom it belongs; drop it where nobody waits any more."""
        fds = list(answer.fds)
        pending = self._pending.get(answer.number)
        if pending is None or pending.future.done():
            close_all(fds)
        elif answer.kind == kinds.PROGRESS:
            close_all(fds)
            if pending.on_progress is not None:
                self._tell(pending.on_progress, answer.body)
        elif answer.kind == kinds.ERROR:
            close_all(fds)
            pending.future.set_exception(remote_error(answer.body))
        else:
            pending.future.set_result(WithFds(answer.body, fds))

    def fail(self, error: LinkError) -> None:
        """The link has ended; so has every request."""
        self._error = error
        for pending in self._pending.values():
            if not pending.future.done():
                pending.future.set_exception(again(error))

    def _new_number(self) -> int:
        self._number += 1
        return self._number

    def _tell(self, on_progress: Callable[[Any], object], value: Any) -> None:
        try:
            on_progress(value)
        except Exception as error:
            self._loop.call_exception_handler({"message": "on_progress failed", "exception": error})
