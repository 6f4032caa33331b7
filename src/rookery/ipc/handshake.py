"""Both sides of a TCP connection show that they know the same secret, without sending it.

    server: "rookery1", codec, 32 random bytes S
    client: 32 random bytes C, HMAC(secret, "client" S C codec)
    server: HMAC(secret, "server" C S codec)

Frames of 128 bytes at most, 5 seconds for all of it. It signs nobody's messages and hides nothing: across a network
that is not trusted it belongs into a tunnel.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from typing import TYPE_CHECKING

from rookery._base.framing import HEADER, frame
from rookery.errors import Disconnected, FrameError, NotTrusted, UsageError

if TYPE_CHECKING:
    import socket

TIMEOUT = 5.0
_GREETING = b"rookery1"
_NONCE = 32
_PROOF = 32
_LIMIT = 128
_SHORTEST = 16


def checked_secret(secret: str | bytes) -> bytes:
    """The secret's bytes. Raises UsageError for fewer than 16."""
    raw = secret.encode() if isinstance(secret, str) else bytes(secret)
    if len(raw) < _SHORTEST:
        raise UsageError(
            f"the secret has {len(raw)} bytes, {_SHORTEST} are the fewest",
            hint='make one with: python3 -c "import secrets; print(secrets.token_hex(32))"',
        )
    return raw


async def welcome(sock: socket.socket, secret: bytes, codec: str) -> None:
    """The server's part. Raises NotTrusted, LinkError, TimeoutError."""
    async with asyncio.timeout(TIMEOUT):
        ours = os.urandom(_NONCE)
        await _say(sock, _GREETING + ours + codec.encode())
        answer = await _hear(sock)
        theirs, proof = answer[:_NONCE], answer[_NONCE:]
        if not hmac.compare_digest(proof, _proof(secret, b"client", ours, theirs, codec)):
            raise NotTrusted("a client does not know the secret", hint="give both sides the same secret and codec")
        await _say(sock, _proof(secret, b"server", theirs, ours, codec))


async def introduce(sock: socket.socket, secret: bytes, codec: str) -> None:
    """The client's part. Raises NotTrusted, LinkError, TimeoutError."""
    async with asyncio.timeout(TIMEOUT):
        greeting = await _hear(sock)
        if not greeting.startswith(_GREETING) or len(greeting) < len(_GREETING) + _NONCE:
            raise NotTrusted("what listens there is no server of rookery's channels")
        theirs, spoken = greeting[len(_GREETING) :][:_NONCE], greeting[len(_GREETING) + _NONCE :]
        if spoken != codec.encode():
            raise UsageError(f"the server speaks {spoken.decode(errors='replace')!r}, this channel {codec!r}")
        ours = os.urandom(_NONCE)
        await _say(sock, ours + _proof(secret, b"client", theirs, ours, codec))
        try:
            proof = await _hear(sock)
        except Disconnected:
            raise NotTrusted("the server refused the secret", hint="give both sides the same secret") from None
        if not hmac.compare_digest(proof, _proof(secret, b"server", ours, theirs, codec)):
            raise NotTrusted("the server does not know the secret", hint="give both sides the same secret")


def _proof(secret: bytes, who: bytes, first: bytes, second: bytes, codec: str) -> bytes:
    return hmac.digest(secret, who + first + second + codec.encode(), "sha256")


async def _say(sock: socket.socket, payload: bytes) -> None:
    try:
        await asyncio.get_running_loop().sock_sendall(sock, frame(payload, limit=_LIMIT))
    except OSError as error:
        raise Disconnected("the other side has gone", why=error.strerror or str(error)) from error


async def _hear(sock: socket.socket) -> bytes:
    (size,) = HEADER.unpack(await _exactly(sock, HEADER.size))  # not a byte more: what follows is the channel's
    if size > _LIMIT:
        raise FrameError(f"a greeting of {size} bytes is longer than the limit of {_LIMIT}")
    return await _exactly(sock, size)


async def _exactly(sock: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    found = b""
    while len(found) < size:
        try:
            part = await loop.sock_recv(sock, size - len(found))
        except OSError as error:
            raise Disconnected("the other side has gone", why=error.strerror or str(error)) from error
        if not part:
            raise Disconnected("the other side has gone")
        found += part
    return found
