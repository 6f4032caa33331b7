"""Where a worker's connections come from: its listening sockets, or whoever accepts for it."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Protocol

from rookery.cluster.runner.passed import Intake, PassedSource

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from rookery.cluster.contract import Orders

_PAUSE = 0.1


class Source(Protocol):
    """Gives each new connection to a protocol of its own."""

    async def start(self, make: Callable[[], asyncio.Protocol], *, tls: ssl.SSLContext | None, backlog: int) -> None:
        """From now on."""

    async def stop(self) -> None:
        """Take no new one; all that were taken have been given when it returns (a TLS handshake may go on)."""


class ListenerSource:
    """Accepts from inherited sockets.

    Closing our copies leaves the queue to whoever else has them: no connection that waits there is lost.
    """

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self._numbers = numbers
        self._servers: list[asyncio.Server] = []

    async def start(self, make: Callable[[], asyncio.Protocol], *, tls: ssl.SSLContext | None, backlog: int) -> None:
        """See Source."""
        loop = asyncio.get_running_loop()
        for number in self._numbers:
            sock = socket.socket(fileno=number)
            sock.setblocking(False)
            self._servers.append(await loop.create_server(make, sock=sock, ssl=tls, backlog=backlog))

    async def stop(self) -> None:
        """See Source."""
        loop = asyncio.get_running_loop()
        for _ in range(3):  # what has just come is taken first: after a stop of all nobody else would
            await asyncio.sleep(0)
        for server in self._servers:
            for sock in server.sockets:
                loop.remove_reader(sock.fileno())
        # Accepted connections are given to their protocols in the turns after; a server that is closed by then would
        # drop them.
        for _ in range(3):
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()


class Connections(Protocol):
    """Gives each new connection as a socket that does not block."""

    def start(self, take: Callable[[socket.socket], object]) -> None:
        """From now on."""

    def hold(self) -> None:
        """Not for now."""

    def go_on(self) -> None:
        """Again."""

    async def stop(self) -> None:
        """Take no new one; all that were taken have been given when it returns."""


class ListenerIntake:
    """Accepts from inherited sockets, a few in a turn: the others are to have some too."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self._sockets = [socket.socket(fileno=number) for number in numbers]
        self._take: Callable[[socket.socket], object]

    def start(self, take: Callable[[socket.socket], object]) -> None:
        """See Connections."""
        self._take = take
        for sock in self._sockets:
            sock.setblocking(False)
        self.go_on()

    def hold(self) -> None:
        """See Connections."""
        for sock in self._sockets:
            asyncio.get_running_loop().remove_reader(sock)

    def go_on(self) -> None:
        """See Connections."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.add_reader(sock, self._accept, sock)

    async def stop(self) -> None:
        """See Connections."""
        for _ in range(3):
            await asyncio.sleep(0)
        for sock in self._sockets:
            while self._accept(sock):
                pass
        self.hold()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    def _accept(self, sock: socket.socket) -> bool:
        """Whether there was one."""
        try:
            connection, _ = sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # another worker has it
            return False
        except OSError:  # no descriptors left: in a while there may be
            self.hold()
            asyncio.get_running_loop().call_later(_PAUSE, self.go_on)
            return False
        connection.setblocking(False)
        self._take(connection)
        return True


def intake_of(orders: Orders, words: memoryview[int]) -> Connections:
    """The same as sockets."""
    if orders.source.get("kind") == "passed":
        return Intake(orders.source, words)
    return ListenerIntake(orders.sockets)


def source_of(orders: Orders, words: memoryview[int]) -> Source:
    """Where the orders say that connections come from. words: of the page of statistics."""
    if orders.source.get("kind") == "passed":
        return PassedSource(orders.source, words)
    return ListenerSource(orders.sockets)
