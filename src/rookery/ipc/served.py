"""Handlers at work: what the other side asked for, and messages that somebody here wants to have handled."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from rookery.errors import LinkError, RookeryError
from rookery.ipc import envelope as kinds
from rookery.ipc.arrived import WithFds
from rookery.ipc.calls import MOST_CALLS
from rookery.ipc.envelope import Envelope
from rookery.ipc.handlers import briefly, nobody, told
from rookery.ipc.ports import close_all

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from rookery.ipc.handlers import Handler


class Call:
    """What a handler knows beside the message. fds: came with it; what the handler does not take() is closed after it.

    is_request: whether somebody waits for the answer.
    """

    __slots__ = ("_number", "_send", "fds", "is_request")

    def __init__(self, number: int, fds: list[int], send: Callable[[Envelope], Awaitable[None]]) -> None:
        self._number = number
        self._send = send
        self.fds = fds
        self.is_request = number > 0

    async def progress(self, value: Any) -> None:
        """Tell whoever waits how far it is. Waits for room. Raises LinkError, UsageError; nothing for a message."""
        if self.is_request:
            await self._send(Envelope(kinds.PROGRESS, self._number, value))

    def take(self) -> list[int]:
        """The descriptors, which are the caller's from now on."""
        taken, self.fds = self.fds, []
        return taken


class Served:
    """send waits for room, post does not; is_full tells whether there is room.

    is_crowded: whether more is at work than another side of ours would ask for; nothing is read until some is done.
    """

    def __init__(
        self,
        send: Callable[[Envelope], Awaitable[None]],
        post: Callable[[Envelope], None],
        is_full: Callable[[], bool],
        on_room: Callable[[], None],
    ) -> None:
        self._send = send
        self._post = post
        self._is_full = is_full
        self._on_room = on_room
        self._loop = asyncio.get_running_loop()
        self._requests: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_crowded = False

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, handler: Handler | None, message: Any, number: int, fds: list[int]) -> None:
        """Have a message handled; number: of the request, 0 where nobody waits. A plain function runs here and now."""
        if handler is None:
            close_all(fds)
            self._answer(Envelope(kinds.ERROR, number, nobody(message)), [])
            return
        call = Call(number, fds, self._send)
        try:
            result = handler.function(message, call) if handler.with_call else handler.function(message)
        except Exception as error:
            close_all(call.fds)
            self._failed(number, error)
            return
        if isinstance(result, CoroutineType):
            self._keep(self._finish(result, number), number, lambda: _never_ran(result, call))
            return
        close_all(call.fds)
        self._answer(*_reply(number, result))

    def cancel(self, number: int) -> None:
        """Whoever asked has given up."""
        task = self._requests.get(number)
        if task is not None:
            task.cancel()

    def cancel_requests(self) -> None:
        """Nobody is there any more to be answered."""
        for task in self._requests.values():
            task.cancel()

    async def cancel_all(self) -> None:
        """End what is at work, and wait for its end."""
        running = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _keep(self, work: Coroutine[Any, Any, None], number: int, clean: Callable[[], None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        self.is_crowded = len(self._tasks) > MOST_CALLS
        if number:
            self._requests[number] = task
        task.add_done_callback(lambda done: self._done(done, number, clean))

    def _done(self, task: asyncio.Task[None], number: int, clean: Callable[[], None]) -> None:
        clean()  # a task that is cancelled before its first turn does nothing itself
        was_crowded = self.is_crowded
        self._tasks.discard(task)
        self.is_crowded = len(self._tasks) > MOST_CALLS
        if self._requests.get(number) is task:
            del self._requests[number]
        if was_crowded and not self.is_crowded:
            self._on_room()
        if not task.cancelled() and task.exception() is not None:
            self._loop.call_exception_handler({"message": "an answer was not sent", "exception": task.exception()})

    async def _finish(self, work: CoroutineType[Any, Any, Any], number: int) -> None:
        try:
            result = await work
        except asyncio.CancelledError:
            if number and not self._is_full():  # whoever gave up passes it over
                self._post(Envelope(kinds.ERROR, number, {"type": "CancelledError", "message": "", "traceback": ""}))
            raise
        except Exception as error:
            self._failed(number, error)
            return
        answer, fds = _reply(number, result)
        try:
            if number:
                await self._send_answer(answer)
        finally:
            close_all(fds)

    def _failed(self, number: int, error: Exception) -> None:
        if number:
            self._answer(Envelope(kinds.ERROR, number, told(error)), [])
        else:
            self._loop.call_exception_handler({"message": "the handler of a message failed", "exception": error})

    def _answer(self, answer: Envelope, fds: list[int]) -> None:
        """Answer now; where there is no room, or there are descriptors, as a task, so that what waits is counted."""
        if answer.number == 0:
            close_all(fds)
        elif fds or self._is_full():
            self._keep(self._send_answer(answer), 0, lambda: close_all(fds))
        else:
            try:
                self._post(answer)
            except RookeryError as error:  # it cannot be encoded, or is too large
                with suppress(RookeryError):  # not even that fits: the other side has its timeout
                    self._post(Envelope(kinds.ERROR, answer.number, briefly(error)))

    async def _send_answer(self, answer: Envelope) -> None:
        try:
            await self._send(answer)
        except LinkError:  # nobody is there any more to be answered
            return
        except RookeryError as error:  # it cannot be encoded, or is too large
            with suppress(RookeryError):
                await self._send(Envelope(kinds.ERROR, answer.number, briefly(error)))


def _reply(number: int, result: Any) -> tuple[Envelope, list[int]]:
    """The reply, and descriptors to close when it has left (they are copied on the way)."""
    if isinstance(result, WithFds):
        return Envelope(kinds.REPLY, number, result.message, result.fds), result.fds
    return Envelope(kinds.REPLY, number, result), []


def _never_ran(work: CoroutineType[Any, Any, Any], call: Call) -> None:
    work.close()
    close_all(call.fds)
