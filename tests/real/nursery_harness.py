"""A nursery whose workers talk with the test: ``async with Grown() as grown``."""

from __future__ import annotations

import asyncio
import json
import socket

from capabilities import DEADLINE
from rookery.pool.nursery.nursery import Nursery
from rookery.testing import wait_until


async def until(condition, what):
    """wait_until, and the event loop goes on meanwhile."""
    return await asyncio.to_thread(wait_until, condition, DEADLINE, what)


class Started:
    """A worker: its handle, and the socket it talks by."""

    def __init__(self, ours):
        self.sock = ours
        self.handle = None
        self._rest = b""

    async def hear(self):
        """What it says next; None where it has ended."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DEADLINE):
            while b"\n" not in self._rest:
                data = await loop.sock_recv(self.sock, 65536)
                if not data:
                    return None
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def let_go(self):
        self.sock.sendall(b".")

    async def end(self):
        async with asyncio.timeout(DEADLINE):
            return await self.handle.wait()


class Grown:
    """The nursery, and everything that was started in it."""

    def __init__(self, *, fault="", **options):
        if fault:
            options["preload"] = ("nursery_faults", *options.get("preload", ()))
            options["env"] = {"NURSERY_FAULT": fault, **(options.get("env") or {})}
        self.nursery = Nursery(target="nursery_child:main", **options)
        self._socks = []

    async def start(self, call, *, name="one", more=(), **options):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._socks.append(ours)
        started = Started(ours)
        with theirs:
            fds = [theirs.fileno(), *more]
            async with asyncio.timeout(DEADLINE):
                started.handle = await self.nursery.start_worker(name, fds, call.encode(), **options)
        return started

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        async with asyncio.timeout(DEADLINE):
            await self.nursery.close()
        for sock in self._socks:
            sock.close()
