"""What stands between the socket and the application: nobody may hold a connection by sending slowly or nothing.

uvicorn has no time limit for a header or a body, and refuses newcomers when it is full. Here a header must be whole
within 5 s and a body within 10 s, and of too many connections the oldest that does no work makes room for the newest.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from rookery.control.messages import Problem
from rookery.web.problems import PROBLEM

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.server import ServerState

HEADER_WITHIN = 5.0
BODY_WITHIN = 10.0
MOST_CONNECTIONS = 256
MOST_HEADER = 64 * 1024
TOO_LARGE = "the request's header is too large"
_FLUSH_WITHIN = 0.2
_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large", 503: b"Unavailable"}


class GuardedProtocol(H11Protocol):
    """One connection. is_stream: its answer goes on for ever, and is cut short when the server leaves."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "connection": self}, _loop)
        self.is_stream = False
        self.began = self.loop.time()
        self._limit: asyncio.TimerHandle | None = None
        self._awaited: object = h11.IDLE
        """What the limit is for: the state in which the other side is."""

    # -- the protocol's side ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._limit = self.loop.call_later(HEADER_WITHIN, self._too_slow)
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_limit()
        self._unset_keepalive_if_required()  # uvicorn forgets it after an error
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.conn.their_state is h11.IDLE:  # h11 has no limit for a header that comes whole in one read
            begun = self.conn.trailing_data[0] + data
            if len(begun) > MOST_HEADER and b"\r\n\r\n" not in begun[:MOST_HEADER]:
                self._refuse(431, TOO_LARGE)
                return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        self.is_stream = False
        super().on_response_complete()
        self._watch()

    def shutdown(self) -> None:
        """See uvicorn: the server leaves. Requests that are being worked on get their answer, all else is cut."""
        if self.is_idle:
            self.drop()
            return
        super().shutdown()
        if self.is_stream:  # told to end by now; what it does not read is thrown away
            self.loop.call_later(_FLUSH_WITHIN, self.drop)

    # -- limits -----------------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being done for it: no request yet, half a one, or all answered."""
        cycle = self._last
        return cycle is None or cycle.response_complete or self.conn.their_state is h11.SEND_BODY

    @property
    def _last(self) -> RequestResponseCycle | None:
        """The request that came last; None before the first."""
        return self.cycle

    def drop(self) -> None:
        """End the connection now; what was not sent is thrown away."""
        self._stop_limit()
        self._unset_keepalive_if_required()
        self.transport.abort()

    def _watch(self) -> None:
        """Have the right limit run for what is awaited now: the rest of a header, of a body, or nothing."""
        if self.transport.is_closing():
            self._stop_limit()
            return
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            within = BODY_WITHIN
        elif state is h11.IDLE and (self._last is None or self.conn.trailing_data[0]):
            within = HEADER_WITHIN
        else:
            self._stop_limit()
            return
        if self._limit is None or self._awaited is not state:
            self._stop_limit()
            self._limit = self.loop.call_later(within, self._too_slow)
        self._awaited = state

    def _stop_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _too_slow(self) -> None:
        self._limit = None
        began = self._last is not None or bool(self.conn.trailing_data[0])
        self._refuse(408, "the request did not come whole in time" if began else "")

    def _make_room(self) -> None:
        # Those that were cut in this turn of the loop are still there.
        there = [one for one in self.connections if isinstance(one, GuardedProtocol) and not one.transport.is_closing()]
        if len(there) <= MOST_CONNECTIONS:
            return
        idle = [one for one in there if one.is_idle and one is not self]
        if idle:
            min(idle, key=lambda one: one.began).drop()
        else:
            self._refuse(503, f"{MOST_CONNECTIONS} requests are being worked on")

    def send_400_response(self, msg: str) -> None:
        """See uvicorn."""
        error = sys.exc_info()[1]  # uvicorn calls this where it has caught it
        status = getattr(error, "error_status_hint", 400)
        self._refuse(431 if status == 431 else 400, TOO_LARGE if status == 431 else msg)

    def _refuse(self, status: int, title: str) -> None:
        """Say so where nothing else has been said yet, and end the connection."""
        if title and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = msgspec.json.encode(Problem(title=title, status=status, exit_code=2 if status < 500 else 1))
            headers = [
                (b"content-type", PROBLEM.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            with suppress(h11.LocalProtocolError):
                for event in (
                    h11.Response(status_code=status, headers=headers, reason=_REASONS[status]),
                    h11.Data(data=body),
                    h11.EndOfMessage(),
                ):
                    self.transport.write(self.conn.send(event) or b"")
        if (cycle := self._last) is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self._unset_keepalive_if_required()
        self.transport.close()
        self.loop.call_later(_FLUSH_WITHIN, self.transport.abort)
