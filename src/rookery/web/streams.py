"""Server-sent events: streams that are counted, kept alive, cut when nobody reads, ended when the manager leaves."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import Response

from rookery.control.messages import Problem
from rookery.web.problems import problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.types import Receive, Scope, Send

EVENT_STREAM = "text/event-stream"
MOST_STREAMS = 64
_log = logging.getLogger(__name__)


class Message(NamedTuple):
    """One event. data: a text, its lines are kept; id: where to go on after it; event: its type; both may be ""."""

    data: str
    id: str = ""
    event: str = ""

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        fields = [f"id: {self.id}"] if self.id else []
        fields += [f"event: {self.event}"] if self.event else []
        fields += [f"data: {line}" for line in self.data.split("\n")]
        return "\n".join([*fields, "", ""]).encode()


class Streams:
    """All open streams of one server. One event loop.

    most: how many there may be at once; heartbeat: seconds of silence after which a comment is sent; patience: seconds
    that a reader may take nothing before it is cut.
    """

    def __init__(self, *, most: int = MOST_STREAMS, heartbeat: float = 15.0, patience: float = 10.0) -> None:
        self.most = most
        self.heartbeat = heartbeat
        self.patience = patience
        self.open = 0
        self.is_ended = False
        self._ended = asyncio.Event()

    def end(self) -> None:
        """End all of them now, and every later one at once: the manager leaves, the next one goes on."""
        self.is_ended = True
        self._ended.set()

    async def ended(self) -> None:
        """Return when they are to end."""
        await self._ended.wait()


class EventStream(Response):
    """Sends what more() gives until the reader goes, more() raises, or the streams end.

    more: waits for at least one message, raises EOFError after the last; may be cancelled at any time.
    """

    def __init__(self, streams: Streams, more: Callable[[], Awaitable[Sequence[Message]]]) -> None:
        super().__init__(media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._streams = streams
        self._more = more

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        streams = self._streams
        if streams.open >= streams.most:
            full = Problem(title=f"{streams.most} event streams are open already", status=503, hint="try again later")
            await problem(full, {"Retry-After": "5"})(scope, receive, send)
            return
        connection = scope.get("state", {}).get("connection")
        if connection is not None:
            connection.is_stream = True
        gone = asyncio.ensure_future(_disconnected(receive))
        ended = asyncio.ensure_future(streams.ended())
        streams.open += 1
        try:
            async with asyncio.timeout(streams.patience):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._run(send, gone, ended)
            if not gone.done():
                async with asyncio.timeout(streams.patience):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:  # it does not read: what waits for it is thrown away
            if connection is not None:
                connection.drop()
                await gone
        finally:
            streams.open -= 1
            gone.cancel()
            ended.cancel()

    async def _run(self, send: Send, gone: asyncio.Future[None], ended: asyncio.Future[None]) -> None:
        data = b"retry: 1000\n\n"
        more: asyncio.Future[Sequence[Message]] | None = None
        try:
            while not (gone.done() or ended.done()):
                async with asyncio.timeout(self._streams.patience):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                if more is None:
                    more = asyncio.ensure_future(self._more())
                waits: set[asyncio.Future[Any]] = {more, gone, ended}
                await asyncio.wait(waits, timeout=self._streams.heartbeat, return_when=asyncio.FIRST_COMPLETED)
                data = b": still there\n\n"
                if more.done():
                    if (error := more.exception()) is not None:
                        if isinstance(error, EOFError):
                            return
                        _log.warning("a stream has ended", exc_info=error)
                        return
                    data = b"".join(message.encoded() for message in more.result())
                    more = None
        finally:
            if more is not None:
                more.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
