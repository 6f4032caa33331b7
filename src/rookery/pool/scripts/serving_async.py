"""Serving tasks in a script with an event loop, which hears what is said in the middle of a task."""

from __future__ import annotations

import asyncio
import inspect
import signal
from typing import TYPE_CHECKING, Any

from rookery.errors import Disconnected, RookeryError
from rookery.pool.scripts import words
from rookery.pool.scripts.serving import Serving
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
        self._outgoing: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._running: set[asyncio.Task[None]] = set()
        self._enough = asyncio.Event()
        async with channel() as self._parent:
            # A handler, not receive(): nothing is ever received that nobody has looked at.
            self._parent.on("*", self._take)
            self._parent.on_disconnect(lambda _: self._enough.set())
            self._loop.add_signal_handler(signal.SIGTERM, self._enough.set)
            self.say({"type": words.READY})
            sending = self._loop.create_task(self._send_all())
            await self._enough.wait()
            await self._finish()
            sending.cancel()

    async def _finish(self) -> None:
        """Do what was received; what the pool sends from now on it gives to another worker."""
        while True:
            await asyncio.gather(*self._running)
            await self._outgoing.join()
            await asyncio.sleep(0)  # it is written
            if not self._running:
                return

    def _take(self, message: Any) -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == words.TASK:
            task = self._loop.create_task(self._do(message))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        elif kind == words.STATUS:
            self.tell_status(message["id"])
        elif kind == words.STOP:
            self._enough.set()

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
        while True:
            message = await self._outgoing.get()
            try:
                await self._parent.send(message)
            except Disconnected:  # nobody is there to be told: it ends soon
                continue
            except RookeryError as error:  # it cannot be encoded, or is too large
                self._not_sent(message, error)
            finally:
                self._outgoing.task_done()

    def _not_sent(self, message: Mapping[str, Any], error: RookeryError) -> None:
        if message["type"] == words.RESULT:
            self._tasks -= 1
            self.failed(message["id"], error, "ResultNotSent")
        else:
            self._loop.call_exception_handler({"message": f"a message of {message['type']}", "exception": error})
