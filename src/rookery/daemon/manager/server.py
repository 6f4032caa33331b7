"""The HTTP server on a listening socket that outlives it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from starlette.applications import Starlette


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: signals are the manager's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the handlers as they are."""
        yield

    def leave(self, *, at_once: bool) -> None:
        """Take no connection from now on: the next manager does. Requests get two seconds, or none (at_once)."""
        for listening in self.servers:
            listening.close()
        if at_once:
            self.config.timeout_graceful_shutdown = 0
        self.should_exit = True


def make_server(application: Starlette) -> Server:
    """A server for the control API, quiet and without what the API does not need."""
    config = uvicorn.Config(
        application,
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        limit_concurrency=256,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=64 * 1024,
    )
    return Server(config)


async def serve(server: Server, listener: socket.socket) -> None:
    """Answer until server.should_exit. The listener is closed then; a copy of it may live on elsewhere."""
    await server.serve(sockets=[listener])
