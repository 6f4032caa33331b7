"""Asking from outside whether a worker with a port of its own is ready."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rookery._base.clock import Clock

_PAUSE = 0.05
_PATIENCE = 2.0


async def port_probe(host: str, port: int, path: str, clock: Clock) -> None:
    """Return when the port takes connections; where path begins with a slash, when GET answers with 200 to 399."""
    while True:
        with suppress(OSError, TimeoutError, ValueError, IndexError):
            async with asyncio.timeout(_PATIENCE):
                if await _answers(host or "localhost", port, path):
                    return
        await clock.sleep(_PAUSE)


async def _answers(host: str, port: int, path: str) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        if not path.startswith("/"):
            return True
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
        return 200 <= int(line.split()[1]) < 400
    finally:
        writer.close()
