"""An ASGI app with what a cluster adds: counting, leaving in order, and a limit of time.

It stands around the app, so it works with whatever HTTP implementation uvicorn uses. While draining:
- an answer that begins says ``Connection: close``, so that a client does not use a connection that is to be closed;
- a stream of events is ended as if it were complete (its client comes again, to another worker);
- a websocket is closed with 1001, "going away".
"""

from __future__ import annotations

import asyncio
import time
from asyncio import current_task
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery.cluster import stats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Message = MutableMapping[str, Any]
    Send = Callable[[Message], Awaitable[None]]
    Receive = Callable[[], Awaitable[Message]]
    App = Callable[[Any, Receive, Send], Awaitable[None]]

CLOSE = (b"connection", b"close")
EXCHANGE = "rookery.exchange"
"""Where the scope of a request holds its Exchange: whoever has the scopes finds all that are open."""
_GOING_AWAY = 1001
_SAMPLES = 100
_clock = time.perf_counter


class Gone(OSError):
    """The connection was closed by this worker, which is leaving; what the app sends now goes nowhere."""


class Measured:
    """app: the app; words: of the page of statistics. One event loop. See sampling.py for who comes through here.

    counts_failures: whether nobody else does. Of many in a short time only the first are counted and timed; who knows
    the number of all puts that right at each turn().
    """

    def __init__(
        self, app: App, words: memoryview[int], *, request_timeout: float | None = None, counts_failures: bool = True
    ) -> None:
        self.app = app
        self.words = words
        self.is_draining = False
        self.room = _SAMPLES
        """How many more are counted until the next turn()."""
        self.sessions: set[Session] = set()
        self.has_timed_out = False
        self.counts_failures = counts_failures
        self._request_timeout = request_timeout

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """See ASGI."""
        kind = scope["type"]
        if kind == "http":
            exchange = Exchange()  # set here, for a call of __init__ costs more than all that it would do
            exchange.measured = self
            exchange.raw = send
            exchange.start = None
            exchange.is_over = False
            exchange.task = current_task()
            exchange.began = _clock()
            scope[EXCHANGE] = exchange
            try:
                await self.app(scope, receive, exchange.send)
            except asyncio.CancelledError:
                if not exchange.is_over:
                    raise
                await exchange.finish()
            except BaseException:
                if self.counts_failures:
                    self.failed()
                raise
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

    async def end_endless(self, scopes: Iterable[Any]) -> None:
        """End what does not end by itself: websockets and streams of events. scopes: of the open requests."""
        for exchange in _open(scopes):
            if exchange.is_event_stream:
                exchange.end()
        await asyncio.gather(*(session.leave() for session in tuple(self.sessions)), return_exceptions=True)

    def look(self, scopes: Callable[[], Iterable[Any]]) -> None:
        """End what has taken too long; called now and then. scopes: of the open requests."""
        if self._request_timeout is not None:
            latest = _clock() - self._request_timeout
            for exchange in _open(scopes()):
                if exchange.began < latest and not exchange.is_over and not exchange.is_event_stream:
                    self.has_timed_out = True
                    exchange.end()

    def turn(self, requests: int) -> None:
        """A while has passed. requests: how many were answered in all."""
        self.words[stats.REQUESTS] = requests
        self.room = _SAMPLES

    def failed(self) -> None:
        """An answer of 500 or above, or none."""
        self.words[stats.ERRORS] += 1

    def answered(self, seconds: float) -> None:
        """One of those that are counted here."""
        self.room -= 1
        spent, words = int(seconds * 1e6), self.words
        words[stats.REQUESTS] += 1
        words[stats.LATENCY] += spent
        words[stats.HISTOGRAM + stats.bucket(spent)] += 1


def _open(scopes: Iterable[Any]) -> list[Exchange]:
    return [scope[EXCHANGE] for scope in scopes if EXCHANGE in scope]


class Exchange:
    """One request and its answer. task: the server's own for this request; start: the answer's beginning."""

    __slots__ = ("began", "is_over", "measured", "raw", "start", "task")
    measured: Measured
    raw: Send
    start: Message | None
    is_over: bool
    task: asyncio.Task[Any] | None
    began: float

    def send(self, message: Message) -> Awaitable[None]:
        """What the app sends; the answer's beginning and its end are taken note of."""
        if self.start is None:
            self.start = message
            measured = self.measured
            if measured.is_draining:
                message = {**message, "headers": [*(message.get("headers") or ()), CLOSE]}
            if measured.counts_failures and message.get("status", 0) >= 500:
                measured.failed()
        elif not message.get("more_body"):
            measured = self.measured
            if measured.room:
                measured.answered(_clock() - self.began)
        return self.raw(message)

    @property
    def is_event_stream(self) -> bool:
        """Whether the answer has begun, and has no end of its own."""
        headers = () if self.start is None else self.start.get("headers") or ()
        return any(
            name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")
            for name, value in headers
        )

    def end(self) -> None:
        """Have the app leave; the answer is completed for it."""
        if not self.is_over and self.task is not None:
            self.is_over = True
            self.task.cancel()

    async def finish(self) -> None:
        """What end() has promised, in the task itself."""
        if self.task is not None:
            self.task.uncancel()
        with suppress(Exception):  # the client has gone, or the length that was announced is not reached
            if self.is_event_stream:
                await self.raw({"type": "http.response.body", "body": b"", "more_body": False})
            elif self.start is None:
                body = b"the request took too long\n"
                headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body)), CLOSE]
                await self.send({"type": "http.response.start", "status": 504, "headers": headers})
                await self.send({"type": "http.response.body", "body": body})
            else:
                self.measured.failed()


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
