"""Where a worker's connections come from: its listening sockets, or whoever accepts for it."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from rookery.cluster.contract import Orders


class Source(Protocol):
    """Gives each new connection to a protocol of its own."""

    async def start(
        self, make: Callable[[], asyncio.Protocol], *, tls: ssl.SSLContext | None, backlog: int
    ) -> None:
        """From now on."""

    async def stop(self) -> None:
        """Take no new one; all that were taken have been given when it returns (a TLS handshake may go on)."""


class ListenerSource:
    """Accepts from inherited sockets. Closing our copies leaves the queue to whoever else has them: no connection that
    waits there is lost."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self._numbers = numbers
        self._servers: list[asyncio.AbstractServer] = []

    async def start(
        self, make: Callable[[], asyncio.Protocol], *, tls: ssl.SSLContext | None, backlog: int
    ) -> None:
        """See Source."""
        loop = asyncio.get_running_loop()
        for number in self._numbers:
            sock = socket.socket(fileno=number)
            sock.setblocking(False)
            self._servers.append(await loop.create_server(make, sock=sock, ssl=tls, backlog=backlog))

    async def stop(self) -> None:
        """See Source."""
        await asyncio.sleep(0)  # what has just come is taken first: after a stop of all nobody else would
        for server in self._servers:
            server.close()
        for _ in range(3):  # accepted connections are given to their protocols in the turns after
            await asyncio.sleep(0)


def source_of(orders: Orders) -> Source:
    """Where the orders say that connections come from."""
    return ListenerSource(orders.sockets)
