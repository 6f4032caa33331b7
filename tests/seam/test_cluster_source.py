"""A worker that stops listening serves what it has accepted; what it has not waits for the others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

import pytest

from rookery.cluster.runner.source import ListenerSource


class Taken(asyncio.Protocol):
    def __init__(self, transports):
        self._transports = transports

    def connection_made(self, transport):
        self._transports.append(transport)


@pytest.mark.parametrize("turns", range(8))
async def test_no_connection_is_dropped_at_whatever_moment_it_comes(turns):
    with socket.create_server(("127.0.0.1", 0)) as parents:
        parents.setblocking(False)
        transports, clients = [], []
        source = ListenerSource((os.dup(parents.fileno()),))
        await source.start(lambda: Taken(transports), tls=None, backlog=64)
        stopping = asyncio.ensure_future(source.stop())
        for turn in range(12):
            if turn == turns:
                clients.append(socket.create_connection(parents.getsockname()))
            await asyncio.sleep(0)
        await stopping
        waiting = []
        with contextlib.suppress(BlockingIOError):
            waiting.append(parents.accept()[0])
        assert len(transports) + len(waiting) == len(clients) == 1
        for one in (*transports, *waiting, *clients):
            one.close()
        await asyncio.sleep(0)
