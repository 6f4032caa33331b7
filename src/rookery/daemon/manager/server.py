"""The HTTP server on a listening socket that outlives it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import uvicorn

from rookery.web.application import application
from rookery.web.guard import MOST_HEADER, GuardedProtocol
from rookery.web.streams import Streams

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from rookery.control.service import Service


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: signals are the manager's. streams: what is to end when it leaves."""

    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams
        self._left = asyncio.Event()

    async def main_loop(self) -> None:
        """Sleep until it is time to leave; uvicorn's own loop wakes up ten times a second to look."""
        await self.on_tick(0)
        await self._left.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the handlers as they are."""
        yield

    def leave(self, *, at_once: bool) -> None:
        """Take no connection from now on: the next manager does. Requests get two seconds, or none (at_once)."""
        for listening in self.servers:
            listening.close()
        self._streams.end()
        if at_once:
            self.config.timeout_graceful_shutdown = 0
        self.should_exit = True
        self._left.set()


def make_server(service: Service, streams: Streams | None = None) -> Server:
    """A server for the control API, guarded, quiet and without what the API does not need."""
    streams = streams or Streams()
    config = uvicorn.Config(
        application(service, streams),
        http=GuardedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=MOST_HEADER,
    )
    return Server(config, streams)


async def serve(server: Server, listener: socket.socket) -> None:
    """Answer until server.leave(). The listener is closed then; a copy of it may live on elsewhere."""
    await server.serve(sockets=[listener])
