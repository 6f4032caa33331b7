"""Clients of a cluster whose connections are passed, and the cluster they talk to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from capabilities import DEADLINE
from rookery import Cluster
from rookery.cluster import stats
from rookery.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

APPS = str(Path(__file__).parent / "programs" / "passed")


@contextlib.asynccontextmanager
async def running(balance, *, app="passed_app:app", workers=2, bind="127.0.0.1:0", **options) -> AsyncIterator[Cluster]:
    """A cluster that runs."""
    options = {"env": {"PYTHONPATH": APPS}, "linger": 0.2, "settle": 0.0, **options}
    async with Cluster(app, workers=workers, balance=balance, bind=bind, **options) as cluster:
        yield cluster


def acceptor_of(cluster):
    """The pid of the process that accepts, once it does."""
    unit = cluster._desk.passing.unit
    return unit.pid if unit.is_ready else None


def pids_of(cluster):
    """{slot: pid} of the workers that are ready."""
    return {row.slot: row.pid for row in cluster.status().workers if row.ready and row.role == "serving"}


def open_at(cluster, slot):
    """How many connections the worker of a slot has open, to the last one."""
    words = cluster._crew.members[slot].plumbing.page.words
    return words[stats.ACCEPTED] - words[stats.CLOSED]


async def until(condition, what):
    """Wait for what changes by this very loop."""
    return await asyncio.to_thread(wait_until, condition, DEADLINE, what)


class Client:
    """One connection; source: the address it comes from."""

    def __init__(self, address, source=None):
        self._address = address
        self._source = source
        self.is_last = False
        """Whether the last answer said that it is the connection's last."""

    async def __aenter__(self):
        if self._address.startswith("unix:"):
            self.reader, self.writer = await asyncio.open_unix_connection(self._address.removeprefix("unix:"))
        else:
            host, port = self._address.rsplit(":", 1)
            sock = socket.socket(socket.AF_INET6 if "[" in host else socket.AF_INET)
            sock.setblocking(False)
            if self._source is not None:
                sock.bind((self._source, 0))
            await asyncio.get_running_loop().sock_connect(sock, (host.strip("[]"), int(port)))
            self.reader, self.writer = await asyncio.open_connection(sock=sock)
        return self

    async def __aexit__(self, *_):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def send(self, path="/"):
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())

    async def answer(self):
        """The answer that comes. A cut or reset connection raises."""
        async with asyncio.timeout(DEADLINE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            self.is_last = b"connection: close" in head.lower()
            size = next(
                int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length")
            )
            return json.loads(await self.reader.readexactly(size))

    async def ask(self, path="/"):
        self.send(path)
        return await self.answer()


@contextlib.asynccontextmanager
async def clients(address, count):
    """So many connections, one after the other."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Client(address)) for _ in range(count)]


async def ask_once(address, **options):
    async with Client(address, **options) as client:
        return await client.ask()
