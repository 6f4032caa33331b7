"""An ASGI app with what a cluster adds: counting, leaving in order, and a limit of time.

It stands around the app, so it works with whatever HTTP implementation uvicorn uses. While draining:
- an answer that begins says ``Connection: close``, so that a client does not use a connection that is to be closed;
- a stream of events is ended as if it were complete (its client comes again, to another worker);
- a websocket is closed with 1001, "going away".
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery.cluster import stats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    Send = Callable[[Message], Awaitable[None]]
    Receive = Callable[[], Awaitable[Message]]
    App = Callable[[Any, Receive, Send], Awaitable[None]]

CLOSE = (b"connection", b"close")
_GOING_AWAY = 1001
_clock = time.perf_counter


class Gone(OSError):
    """The connection was closed by this worker, which is leaving; what the app sends now goes nowhere."""


class Measured:
    """app: the app; words: of the page of statistics. One event loop."""

    def __init__(self, app: App, words: memoryview[int], *, request_timeout: float | None = None) -> None:
        self.app = app
        self.words = words
        self.is_draining = False
        self.open: set[Exchange] = set()
        self.sessions: set[Session] = set()
        self.timed_out = 0
        self._request_timeout = request_timeout

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            words = self.words
            exchange = Exchange(self, send)
            words[stats.IN_FLIGHT] += 1
            self.open.add(exchange)
            try:
                await self.app(scope, receive, exchange.send)
            except asyncio.CancelledError:
                if not exchange.is_over:
                    raise
                await exchange.finish()
            except BaseException:
                if not exchange.status:
                    exchange.status = 500
                raise
            finally:
                self.open.discard(exchange)
                words[stats.IN_FLIGHT] -= 1
                exchange.count()
        elif kind == "websocket":
            session = Session(send)
            self.sessions.add(session)
            try:
                await self.app(scope, receive, session.send)
            finally:
                self.sessions.discard(session)
        else:
            await self.app(scope, receive, send)

    def drain(self) -> None:
        """From now on each answer is its connection's last."""
        self.is_draining = True

    async def end_endless(self) -> None:
        """End what does not end by itself: websockets and streams of events."""
        for exchange in tuple(self.open):
            if exchange.is_event_stream:
                exchange.end()
        await asyncio.gather(*(session.leave() for session in tuple(self.sessions)), return_exceptions=True)

    def look(self) -> None:
        """End what has taken too long; called now and then."""
        if self._request_timeout is not None:
            latest = _clock() - self._request_timeout
            for exchange in tuple(self.open):
                if exchange.began < latest and not exchange.is_event_stream and not exchange.is_over:
                    self.timed_out += 1
                    exchange.time_out()


class Exchange:
    """One request and its answer. Its task is the server's own for this request."""

    __slots__ = ("_measured", "_send", "_task", "_told", "began", "is_event_stream", "is_over", "status")

    def __init__(self, measured: Measured, send: Send) -> None:
        self._measured = measured
        self._send = send
        self._task = asyncio.current_task()
        self._told = 0
        self.began = _clock()
        self.status = 0
        self.is_event_stream = False
        self.is_over = False

    def send(self, message: Message) -> Awaitable[None]:
        """What the app sends; the answer's beginning and its end are taken note of."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.get("headers") or ()
            for name, value in headers:
                if name.lower() == b"content-type":
                    self.is_event_stream = value.startswith(b"text/event-stream")
            if self._measured.is_draining:
                message["headers"] = [*headers, CLOSE]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.count()
        return self._send(message)

    def count(self) -> None:
        """Once, when the answer is complete."""
        if self._told:
            return
        self._told = 1
        spent = int((_clock() - self.began) * 1e6)
        words = self._measured.words
        words[stats.REQUESTS] += 1
        words[stats.LATENCY] += spent
        words[stats.HISTOGRAM + stats.bucket(spent)] += 1
        if self.status >= 500 or not self.status:
            words[stats.ERRORS] += 1

    def end(self) -> None:
        """Have the app leave; the answer is completed for it."""
        if not self.is_over and self._task is not None:
            self.is_over = True
            self._task.cancel()

    def time_out(self) -> None:
        """The same for one that took too long; where no answer has begun there will be one that says so."""
        self.end()

    async def finish(self) -> None:
        """What end() has promised, in the task itself."""
        if self._task is not None and hasattr(self._task, "uncancel"):
            self._task.uncancel()
        with suppress(Exception):  # the client has gone, or the length that was announced is not reached
            if self.is_event_stream:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            elif not self.status:
                self.status = 504
                body = b"the request took too long\n"
                headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body)), CLOSE]
                await self._send({"type": "http.response.start", "status": 504, "headers": headers})
                await self._send({"type": "http.response.body", "body": body})


class Session:
    """One websocket."""

    __slots__ = ("_is_accepted", "_is_closed", "_send", "has_left")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_accepted = False
        self._is_closed = False
        self.has_left = False

    async def send(self, message: Message) -> None:
        """What the app sends."""
        if self.has_left:
            raise Gone("this worker is leaving, the websocket is closed")
        if message["type"] == "websocket.accept":
            self._is_accepted = True
        elif message["type"] == "websocket.close":
            self._is_closed = True
        await self._send(message)

    async def leave(self) -> None:
        """Close it with 1001; the app is told by its receive()."""
        if self._is_accepted and not self._is_closed and not self.has_left:
            self.has_left = True
            with suppress(Exception):  # it has gone meanwhile
                await self._send({"type": "websocket.close", "code": _GOING_AWAY, "reason": "the worker is leaving"})
