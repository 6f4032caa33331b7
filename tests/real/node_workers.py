"""Node workers on shared sockets, without a Cluster around them."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress

from capabilities import DEADLINE
from rookery import CAPTURE, spawn
from rookery.cluster.launch import Place, Recipe
from rookery.cluster.node import words
from rookery.cluster.node.launch import node
from rookery.cluster.settings import Settings
from rookery.cluster.stats import Page
from rookery.cluster.target import kind_of
from rookery.errors import LinkError
from rookery.ipc.channel import Channel
from rookery.lifecycle.stop import StopPlan


def tcp(host="127.0.0.1"):
    sock = socket.create_server((host, 0), backlog=128, family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setblocking(False)
    return sock


def unix(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(128)
    return sock


class NodeWorker:
    """messages: of the app; ours: what the preload script has told, by its word; page: its numbers."""

    def __init__(self, workers, slot):
        self._workers = workers
        self.slot = slot
        self.messages = []
        self.ours = {}
        self.page = Page.make()
        self._news = asyncio.Event()

    async def start(self):
        workers = self._workers
        ours, theirs = socket.socketpair()
        with theirs:
            fds = tuple(sock.fileno() for sock in workers.sockets)
            place = Place(self.slot, self.slot + 1, fds, self.page.fd, "", channel=theirs.fileno())
            launch = node(workers.recipe, place)
            env = {**launch.env, **workers.recipe.env}
            env |= {name: value for name, value in launch.env.items() if name.startswith(("NODE", "ROOKERY"))}
            self.child = await spawn(
                *launch.argv, env=env, fds=dict(launch.fds), stdout=CAPTURE, stderr=CAPTURE, stop_scope="leader"
            )
        self.channel = Channel(ours, codec="node", name=f"node {self.slot}")
        self._listening = asyncio.ensure_future(self._listen())

    async def _listen(self):
        with suppress(LinkError):
            async for message in self.channel:
                if words.heard(message, self.page) is None:
                    self.messages.append(message)
                else:
                    self.ours.setdefault(message["what"], []).append(message)
                self._news.set()

    async def until(self, condition):
        """Wait for what its messages make true."""
        async with asyncio.timeout(DEADLINE):
            while not (found := condition()):
                self._news.clear()
                await self._news.wait()
        return found

    async def ready(self):
        says = asyncio.ensure_future(self.until(lambda: "ready" in self.ours))
        ends = asyncio.ensure_future(self.child.wait())
        try:
            await asyncio.wait({says, ends}, return_when=asyncio.FIRST_COMPLETED)
            assert says.done(), (await self.child.result(check=False)).stderr
            await says
        finally:
            says.cancel()
            ends.cancel()
        return self

    async def ended(self):
        """Its result, when it has ended by itself."""
        async with asyncio.timeout(DEADLINE):
            result = await self.child.result(check=False)
            await self._listening
        self._close()
        return result

    async def drain(self):
        self.child.signal(15)
        return await self.ended()

    async def end(self):
        if self.child.is_running:
            await self.child.stop(StopPlan(signal=9))
        self._listening.cancel()
        self._close()

    def _close(self):
        self.channel.abort()
        self.page.close()


class NodeWorkers:
    """``async with NodeWorkers("http.js") as workers``: what was started ends with it. settings: see Settings."""

    def __init__(self, app, *, sockets=None, env=None, args=(), **settings):
        kind, app = kind_of(app, "node")
        self.sockets = sockets or [tcp()]
        settings = {"linger": 1.0, "drain_timeout": 8.0, "graceful_timeout": 3.0, **settings}
        args = tuple(map(str, args))
        self.recipe = Recipe(Settings(app, (), 1, kind=kind, args=args, **settings), app, "node", env=env or {})
        self._workers = []

    @property
    def address(self):
        return self.sockets[0].getsockname()

    async def connect(self):
        if self.sockets[0].family == socket.AF_UNIX:
            return await asyncio.open_unix_connection(self.address)
        return await asyncio.open_connection(*self.address[:2])

    async def start(self, slot=0, *, ready=True):
        worker = NodeWorker(self, slot)
        await worker.start()
        self._workers.append(worker)
        return await worker.ready() if ready else worker

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        for worker in self._workers:
            await worker.end()
        for sock in self.sockets:
            with suppress(OSError):
                if sock.family == socket.AF_UNIX:
                    os.unlink(sock.getsockname())
            sock.close()
