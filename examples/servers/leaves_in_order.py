"""An HTTP server that leaves in order: no request that it has begun to answer is lost.

python leaves_in_order.py [port]; then: curl localhost:PORT/slow & kill PID
"""

import asyncio
import os
import sys
from contextlib import suppress

from rookery import GracefulShutdown


class Server:
    """Answers requests until it is told to take no more; then it finishes those that it has."""

    def __init__(self) -> None:
        self.is_leaving = False
        self._idle: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self, port: int) -> int:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", port)
        return self._listener.sockets[0].getsockname()[1]

    def stop_accepting(self) -> None:
        """No new connections; those on which nothing is asked, though they are kept open, are closed."""
        self.is_leaving = True
        self._listener.close()
        for writer in self._idle:
            writer.close()
        print("takes no more", flush=True)

    async def drain(self) -> None:
        """Wait for the requests that are being answered."""
        if self._connections:
            await asyncio.wait(self._connections)
        print("all is answered", flush=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not self.is_leaving:
                self._idle.add(writer)
                head = await reader.readuntil(b"\r\n\r\n")
                self._idle.discard(writer)
                body = await answer(head.split()[1].decode())
                kept = "close" if self.is_leaving else "keep-alive"  # so the client does not ask here again
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: {kept}\r\n\r\n".encode())
                writer.write(body)
                await writer.drain()
        self._idle.discard(writer)
        writer.close()


async def answer(path: str) -> bytes:
    print("answering", path, flush=True)
    if path == "/slow":
        await asyncio.sleep(1)
    if path == "/endless":
        await asyncio.Event().wait()
    return b"hello\n"


async def main(server: Server, port: int) -> None:
    print("listening on", await server.open(port), flush=True)
    await asyncio.Event().wait()


server = Server()
shutdown = GracefulShutdown(limit=float(os.environ.get("SHUTDOWN_LIMIT", "30")))
shutdown.stop_accepting(server.stop_accepting)
shutdown.drain(server.drain)


@shutdown.close
def close_the_database() -> None:
    print("the database is closed", flush=True)


sys.exit(asyncio.run(shutdown.run(main(server, int(sys.argv[1]) if len(sys.argv) > 1 else 0))))
