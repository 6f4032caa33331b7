"""Serving tasks in a script with an event loop, which hears what is said in the middle of a task."""

from __future__ import annotations

import asyncio
import inspect
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery.errors import Disconnected, RookeryError
from rookery.pool import script_words as words
from rookery.pool.script_serving import Serving
from rookery.worker import channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rookery.worker.here import WorkerChannel

_MOST_WAITING = 1000


def serve(handlers: Mapping[str, Callable[[Any], Any]], status: Callable[[], Mapping[str, Any]] | None) -> None:
    """Until the pool says so, or has gone."""
    asyncio.run(LoopServing(handlers, status).serve())


class LoopServing(Serving):
    """One task at a time; a plain function holds up the loop for as long as it runs."""

    _parent: WorkerChannel

    async def serve(self) -> None:
        """Until the pool says so, or has gone."""
        self._loop = asyncio.get_running_loop()
        self._outgoing: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        self._running: set[asyncio.Task[None]] = set()
        async with channel() as self._parent:
            self.say({"type": words.READY})
            sending = self._loop.create_task(self._send_all())
            self._listening = self._loop.create_task(self._listen())
            self._loop.add_signal_handler(signal.SIGTERM, self._leave)
            with suppress(asyncio.CancelledError):  # by _leave
                await self._listening
            await asyncio.gather(*self._running)
            self._outgoing.put_nowait(None)
            await sending

    async def _listen(self) -> None:
        async for message in self._parent:
            kind = message.get("type") if isinstance(message, dict) else None
            if kind == words.TASK:
                task = self._loop.create_task(self._do(message))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            elif kind == words.STATUS:
                self.tell_status(message["id"])
            elif kind == words.STOP:
                return

    async def _do(self, message: Mapping[str, Any]) -> None:
        number = self.number = message["id"]
        try:
            result = self.handler(message.get("name"))(message.get("data"))
            if inspect.isawaitable(result):
                result = await result
        except BaseException as error:  # it is the task's, and goes to who asked for it
            self.failed(number, error)
        else:
            self.done(number, result)

    def say(self, message: Mapping[str, Any]) -> None:
        """See Serving. It is sent in its turn."""
        self._outgoing.put_nowait(message)

    def report(self, value: Any) -> None:
        """See Serving; from any thread. Where the pool does not read fast enough, it is passed over."""
        if self._outgoing.qsize() >= _MOST_WAITING:
            return
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - None in other threads
            super().report(value)
        else:
            self._loop.call_soon_threadsafe(super().report, value)

    async def _send_all(self) -> None:
        while (message := await self._outgoing.get()) is not None:
            try:
                await self._parent.send(message)
            except Disconnected:
                return
            except RookeryError as error:  # it cannot be encoded, or is too large
                self._not_sent(message, error)

    def _not_sent(self, message: Mapping[str, Any], error: RookeryError) -> None:
        if message["type"] == words.RESULT:
            self._tasks -= 1
            self.failed(message["id"], error, "ResultNotSent")
        else:
            self._loop.call_exception_handler({"message": f"a message of {message['type']}", "exception": error})

    def _leave(self) -> None:
        """Asked to end: after the task at work."""
        self._listening.cancel()
