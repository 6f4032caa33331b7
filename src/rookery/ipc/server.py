"""Listening for channels: each connection becomes one, and a task that talks with it."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from rookery._base.addresses import connectable
from rookery._base.framing import MAX_FRAME
from rookery.errors import LinkError, RookeryError, UsageError
from rookery.ipc import handshake
from rookery.ipc.channel import Channel
from rookery.ipc.codecs import codec_named
from rookery.ipc.trust import check_peer, is_loopback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Self

    Talk = Callable[[Channel], Awaitable[object]]

_BACKLOG = 128
_PAUSE = 0.5
_MOST_STRANGERS = 64
_LONGEST_LINE = 64 * 1024


class _Terms(NamedTuple):
    """What is agreed with each client."""

    codec: str
    max_message: int
    secret: bytes | None
    uids: frozenset[int] | None
    max_connections: int


class Server:
    """Made by serve_unix, serve_tcp and serve_text; ``async with`` or close() ends it. Belongs to one event loop.

    address: the path, or (host, port) with the real port.
    """

    def __init__(self, sock: socket.socket, talk: Talk, terms: _Terms, *, path: str = "") -> None:
        self._sock = sock
        self._talk = talk
        self._terms = terms
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._strangers: set[asyncio.Task[None]] = set()
        self._channels: set[Channel] = set()
        self._is_open = True
        self.address: str | tuple[str, int] = path or sock.getsockname()[:2]
        sock.setblocking(False)
        self._loop.add_reader(sock, self._accept)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def channels(self) -> frozenset[Channel]:
        """Those who are connected now."""
        return frozenset(self._channels)

    async def close(self) -> None:
        """Stop listening, cancel the tasks that talk, and close their channels."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._sock)
            self._sock.close()
            if self._path:
                with suppress(FileNotFoundError):
                    os.unlink(self._path)
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _accept(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:  # no more descriptors: look again when others may have been closed
            self._loop.remove_reader(self._sock)
            self._loop.call_later(_PAUSE, self._listen_again)
            return
        if len(self._tasks) >= self._terms.max_connections or len(self._strangers) >= _MOST_STRANGERS:
            sock.close()
            return
        task = self._loop.create_task(self._serve(sock))
        self._tasks.add(task)
        self._strangers.add(task)
        task.add_done_callback(lambda done: self._done(done, sock))

    def _listen_again(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._sock, self._accept)

    def _done(self, task: asyncio.Task[None], sock: socket.socket) -> None:
        self._tasks.discard(task)
        self._strangers.discard(task)
        sock.close()  # also where the task never had a turn
        if not task.cancelled() and task.exception() is not None:
            self._loop.call_exception_handler(
                {"message": "the task of a channel failed", "exception": task.exception()}
            )

    async def _serve(self, sock: socket.socket) -> None:
        terms = self._terms
        try:
            sock.setblocking(False)
            check_peer(sock, terms.uids)
            if terms.secret is not None:
                await handshake.welcome(sock, terms.secret, terms.codec)
        except (RookeryError, TimeoutError):  # a stranger: there is nobody here whom it concerns
            return
        self._strangers -= {asyncio.current_task()}
        channel = Channel(sock, codec=terms.codec, max_message=terms.max_message)
        self._channels.add(channel)
        try:
            await self._talk(channel)
        except LinkError:  # it went while it was talked to
            return
        finally:
            self._channels.discard(channel)
            await channel.close()


async def serve_unix(
    path: str,
    talk: Talk,
    *,
    codec: str = "msgpack",
    max_message: int = MAX_FRAME,
    uids: Iterable[int] | None = None,
    max_connections: int = 256,
) -> Server:
    """Listen on a Unix socket (mode 0600 from its birth); talk(channel) runs for each client, then it is closed.

    uids: who may connect, by default this user and root. A socket that a dead server has left is replaced. Clients
    over max_connections are closed at once. Raises UsageError where somebody listens there, OSError.
    """
    codec_named(codec)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(sock.fileno(), 0o600)  # before the bind, so that the mode is right at birth
        _clear(path)
        with connectable(path) as address:
            sock.bind(address)
        if os.stat(path).st_mode & 0o077:  # a system that does not look at the socket's own mode
            os.chmod(path, 0o600)
        sock.listen(_BACKLOG)
        allowed = frozenset({0, os.geteuid()} if uids is None else uids)
        return Server(sock, talk, _Terms(codec, max_message, None, allowed, max_connections), path=path)
    except BaseException:
        sock.close()
        raise


async def serve_tcp(
    host: str,
    port: int,
    talk: Talk,
    *,
    secret: str | bytes,
    codec: str = "msgpack",
    max_message: int = MAX_FRAME,
    max_connections: int = 256,
) -> Server:
    """Listen on TCP for clients that know the secret (16 bytes or more); both sides prove that within 5 s.

    port 0: any; Server.address tells. What is said is not encrypted. Raises UsageError, OSError.
    """
    codec_named(codec)
    terms = _Terms(codec, max_message, handshake.checked_secret(secret), None, max_connections)
    return Server(await _listening(host, port), talk, terms)


async def serve_text(
    talk: Talk, *, host: str = "127.0.0.1", port: int = 0, max_line: int = _LONGEST_LINE, max_connections: int = 64
) -> Server:
    """Listen for lines of plain text, for a person with nc or a shell script; each message is a line.

    On this machine only: whoever can reach the port may speak, without any secret. Raises UsageError for other hosts.
    """
    sock = await _listening(host, port, loopback_only=True)
    return Server(sock, talk, _Terms("text", max_line, None, None, max_connections))


async def _listening(host: str, port: int, *, loopback_only: bool = False) -> socket.socket:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    if loopback_only and not is_loopback(str(address[0])):
        raise UsageError(f"plain text is served on this machine only, not on {host}", hint="take serve_tcp")
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _clear(path: str) -> None:
    """Remove the socket of a server that is gone. Raises UsageError where one listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            with connectable(path) as address:
                probe.connect(address)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            with suppress(FileNotFoundError):
                os.unlink(path)
            return
        except BlockingIOError:  # so many wait there that there is no room for one more
            pass
    raise UsageError(f"somebody listens on {path} already")
