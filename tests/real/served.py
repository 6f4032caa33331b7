"""The control API as the manager serves it, in a thread: the real server, guard, routes, host and apps, over processes
that exist on paper only.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from types import SimpleNamespace

import msgspec

from rookery._base.clock import SystemClock
from rookery.apps.manager import AppManager
from rookery.config.spec import AppSpec
from rookery.control.messages import StartRequest
from rookery.daemon.manager.host import Host
from rookery.daemon.manager.server import make_server, serve
from rookery.errors import OperationFailed
from rookery.testing import FakeSpawner
from rookery.web.streams import Streams

LIMIT = 0.02
"""Seconds that a request may wait for something: nothing on paper takes longer."""


class PaperPlumbing:
    page = None

    def __init__(self, make_spec):
        self.make_spec = make_spec

    async def prepare(self, generation):
        return self.make_spec()

    async def finish(self, generation):
        return ()

    def write(self, data):
        pass


class PaperOutfitter:
    def outfit(self, wants):
        return PaperPlumbing(wants.make_spec)


class PaperCollector:
    pid = None
    problem = ""

    async def empty(self, paths):
        return len(paths)


class PaperKeeper:
    epoch, pid = 1, 1

    async def upgrade(self, python, root):
        raise OperationFailed("this one stays", hint="on paper")


class ShortStreams(Streams):
    """They end soon."""

    async def ended(self):
        with suppress(TimeoutError):
            await asyncio.wait_for(super().ended(), LIMIT)


class BriskHost(Host):
    """The real one, but nobody waits for long, and whatever is stopped or deleted, ``web`` is there again."""

    async def bring_back(self):
        spec = AppSpec(name="web", command=("/bin/x",), cwd="/", instances=2, stdin="pipe")
        raws = [msgspec.Raw(msgspec.json.encode(spec))]
        await self._apps.apply(StartRequest(specs=raws, base_env={}, wait="started", timeout=LIMIT))

    async def apply(self, request):
        return await super().apply(msgspec.structs.replace(request, timeout=min(request.timeout, LIMIT)))

    async def act(self, verb, request):
        try:
            return await super().act(verb, msgspec.structs.replace(request, timeout=min(request.timeout, LIMIT)))
        finally:
            await self.bring_back()

    async def shut_down(self):
        try:
            return await super().shut_down()
        finally:
            await self.bring_back()

    async def scale(self, request):
        return await super().scale(msgspec.structs.replace(request, timeout=min(request.timeout, LIMIT)))

    async def wait(self, selectors, until, timeout):  # noqa: ASYNC109
        return await super().wait(selectors, until, min(timeout, LIMIT))


async def _nothing():
    pass


class Served:
    """``with Served() as served``: it answers on a loopback port, or on a Unix socket at path."""

    def __init__(self, path=None, host=Host, streams=Streams):
        self._kind = host
        self._streams = streams
        if path is None:
            # With its protocol named, asyncio sends at once what is small; else each answer takes 40 ms more.
            self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            self._listener.bind(("127.0.0.1", 0))
            self.port = self._listener.getsockname()[1]
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen(2048)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._ready = threading.Event()
        self.apps = self.server = self.loop = None
        self.told = set()
        """Types of all events that there were."""

    async def _run(self):
        clock = SystemClock()
        self.apps = AppManager(
            FakeSpawner(),
            outfitter := PaperOutfitter(),
            keep=None,
            scope="0badcafe",
            clock=clock,
            log_folder="/logs",
            changed=lambda: None,
            save=_nothing,
        )
        add = self.apps.events.add
        self.apps.events.add = lambda kind, *args, **facts: (self.told.add(kind), add(kind, *args, **facts))[1]
        store = SimpleNamespace(problem="", save=_nothing)
        taken = SimpleNamespace(
            apps=self.apps, keeper=PaperKeeper(), collector=PaperCollector(), store=store, outfitter=outfitter
        )
        upgrade = SimpleNamespace(wait=_nothing)
        host = self._kind("/home", taken, clock, upgrade, leave=self.apps.stay)
        if isinstance(host, BriskHost):
            await host.bring_back()
        self.server = make_server(host, self._streams())
        self.loop = asyncio.get_running_loop()
        serving = asyncio.ensure_future(serve(self.server, self._listener))
        while not self.server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.001)
        self._ready.set()
        await serving
        await self.apps.close()

    def call(self, function, *args):
        """Run a function in the server's thread; what it returns."""
        done = threading.Event()
        results = []
        self.loop.call_soon_threadsafe(lambda: (results.append(function(*args)), done.set()))
        assert done.wait(10)
        return results[0]

    @property
    def connections(self):
        return self.call(lambda: len(self.server.server_state.connections))

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self.leave()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def leave(self):
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(lambda: self.server.leave(at_once=False))
