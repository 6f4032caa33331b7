"""Channels to a server."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from rookery._base.addresses import connectable
from rookery._base.framing import MAX_FRAME
from rookery.errors import LinkError
from rookery.ipc import handshake
from rookery.ipc.channel import Channel
from rookery.ipc.codecs import codec_named
from rookery.ipc.trust import check_peer

if TYPE_CHECKING:
    from collections.abc import Iterable


async def connect_unix(
    path: str, *, codec: str = "msgpack", max_message: int = MAX_FRAME, uids: Iterable[int] | None = None
) -> Channel:
    """A channel to a server on a Unix socket, which must be run by this user or root, or one of uids.

    Raises OSError, NotTrusted, UsageError.
    """
    codec_named(codec)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        with connectable(path) as address:
            await asyncio.get_running_loop().sock_connect(sock, address)
        check_peer(sock, frozenset({0, os.geteuid()} if uids is None else uids))
        return Channel(sock, codec=codec, max_message=max_message, name=path)
    except BaseException:
        sock.close()
        raise


async def connect_tcp(
    host: str, port: int, *, secret: str | bytes, codec: str = "msgpack", max_message: int = MAX_FRAME
) -> Channel:
    """A channel to a server on TCP that knows the secret. Raises NotTrusted, LinkError, UsageError, OSError."""
    codec_named(codec)
    raw = handshake.checked_secret(secret)
    sock = await _connected(host, port)
    try:
        try:
            await handshake.introduce(sock, raw, codec)
        except TimeoutError:
            raise LinkError(f"{host}:{port} did not greet within {handshake.TIMEOUT:g} s") from None
        return Channel(sock, codec=codec, max_message=max_message, name=f"{host}:{port}")
    except BaseException:
        sock.close()
        raise


async def _connected(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure or OSError(f"{host} has no address")
