"""ASGI and WSGI apps, by uvicorn.

SIGTERM -> no new connections -> open ones are answered with "Connection: close"; one that is silent is closed after it
was silent for ``linger`` seconds, never at once: a client may have sent already -> none left, or drain_timeout -> end.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import uvicorn

from rookery.cluster import contract, here, stats
from rookery.cluster.runner import checked, failures
from rookery.cluster.runner.measured import CLOSE, Measured
from rookery.cluster.runner.sampling import Sampling
from rookery.cluster.runner.source import source_of
from rookery.cluster.runner.streams import end_streams
from rookery.cluster.runner.wsgi import WsgiApp

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rookery.cluster.contract import Orders
    from rookery.cluster.runner.source import Source

BEAT = 0.1
_TICKS = 10
_LOOK = 0.05
_SETTLING = 0.1
_LAST_STEPS = 1.0
_THREADS = 32
_STARTUP_FAILED = 3


def serve(app: Any, orders: Orders, *, kind: str) -> None:
    """Serve an app until SIGTERM."""
    page = stats.Page(orders.page) if orders.page >= 0 else stats.Page.make()
    options: dict[str, Any] = {"access_log": False, "log_level": "warning", **orders.options}
    threads = options.pop("threads", _THREADS)
    if kind == "wsgi":
        app = WsgiApp(app, threads)
        options.setdefault("lifespan", "off")
        options["ws"] = "none"
    elif kind == "asgi2":
        from uvicorn.middleware.asgi2 import ASGI2Middleware  # noqa: PLC0415

        app = ASGI2Middleware(app)
    config = uvicorn.Config(app, interface="asgi3", **options)
    config.load()
    plain = config.loaded_app
    measured = Measured(plain, page.words, request_timeout=orders.request_timeout)
    measured.counts_failures = not failures.count(config.http_protocol_class, measured.failed)
    config.loaded_app = measured  # what websockets begin with
    server = DrainingServer(
        config, measured, page.words, source_of(orders, page.words), orders, is_threaded=kind == "wsgi"
    )
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve())
    sys.stdout.flush()
    sys.stderr.flush()
    if kind == "wsgi":
        os._exit(0)  # a thread that hangs in the app must not keep the process


class DrainingServer(uvicorn.Server):
    """uvicorn's server with another beginning and another end."""

    def __init__(
        self,
        config: uvicorn.Config,
        measured: Measured,
        words: memoryview[int],
        source: Source,
        orders: Orders,
        *,
        is_threaded: bool,
    ) -> None:
        super().__init__(config)
        self._measured = measured
        self._words = words
        self._source = source
        self._orders = orders
        self._is_threaded = is_threaded
        is_thorough = orders.request_timeout is not None or measured.counts_failures
        self._sampling = Sampling(measured.app, measured, always=is_thorough)
        self._told: asyncio.Event
        self._ticks = 0

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's own
        """From the app's start to its end."""
        loop = asyncio.get_running_loop()
        self._told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told.set)
        beat = asyncio.ensure_future(self._beat())
        try:
            await self._serve_until_told()
        finally:
            beat.cancel()
            self._count()

    async def _serve_until_told(self) -> None:
        config = self.config
        self.lifespan = config.lifespan_class(config)
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(_STARTUP_FAILED)
        try:
            await self.on_tick(0)
            if self._orders.check:
                await checked.check(self._measured.app, self._orders.check)
            gc.collect()
            gc.freeze()  # what is there now stays: no collection needs to look at it again
            await self._source.start(self._protocol(), tls=config.ssl, backlog=config.backlog)
            contract.notify("READY=1")
            await self._told.wait()
            contract.notify("STOPPING=1")
            await self._drain()
            await self._cut()
        finally:
            try:
                async with asyncio.timeout(self._orders.graceful_timeout or None):
                    await self.lifespan.shutdown()
            except TimeoutError:
                pass

    def _protocol(self) -> Callable[[], asyncio.Protocol]:
        """What makes a protocol for each connection."""
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        config, state, begin = self.config, self.server_state, self._sampling.begin
        app_state, loop = self.lifespan.state, asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            made = make(config=config, server_state=state, app_state=app_state, _loop=loop)
            begin(made)
            return made

        return protocol

    async def _beat(self) -> None:
        """The loop turns: say so, and do what is to be done now and then."""
        while True:
            self._count()
            self._measured.look(lambda: [cycle.scope for cycle in self._cycles()])
            if self._measured.has_timed_out and self._is_threaded:
                self._words[stats.FLAGS] |= stats.WANTS_REPLACEMENT  # its thread goes on for ever, perhaps
            self._ticks += 1
            if self._ticks % _TICKS == 0 and self.lifespan_is_up:
                await self.on_tick(0)  # the Date header
            await asyncio.sleep(BEAT)

    def _count(self) -> None:
        words, state = self._words, self.server_state
        words[stats.HEARTBEAT] = time.monotonic_ns()
        words[stats.CONNECTIONS] = len(state.connections)
        words[stats.IN_FLIGHT] = max(0, len(state.tasks) - len(self._measured.sessions))
        self._measured.turn(state.total_requests)
        self._sampling.turn(state.connections, state.total_requests)

    def _cycles(self) -> list[Any]:
        """All requests that are not answered yet, as uvicorn has them."""
        cycles = [getattr(connection, "cycle", None) for connection in self.server_state.connections]
        return [cycle for cycle in cycles if cycle is not None and not cycle.response_complete]

    @property
    def lifespan_is_up(self) -> bool:
        """Whether the app has started."""
        return self.config.loaded and hasattr(self, "lifespan")

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        linger = self._orders.linger
        began = loop.time()
        self._words[stats.FLAGS] |= stats.IS_DRAINING
        self._measured.drain()
        self._last_answers()
        await self._source.stop()
        self._last_answers()  # of connections that were just being made
        here.begin_drain()
        # A connection in the middle of its TLS handshake is in no list yet.
        least = max(_SETTLING, linger if self.config.is_ssl else 0.0)
        silent: dict[Any, float] = {}
        has_ended = False
        looked = began
        while (now := loop.time()) - began < self._orders.drain_timeout:
            # A look that comes late was held up, and so perhaps was what the client has sent.
            passed, looked = min(now - looked, 2 * _LOOK), now
            for connection in list(self.server_state.connections):
                if not is_silent(connection):
                    silent.pop(connection, None)
                elif connection not in silent:
                    silent[connection] = 0.0
                else:
                    silent[connection] += passed
                    if silent[connection] >= linger:
                        connection.shutdown()
            if not has_ended and now - began >= linger:
                has_ended = True
                with suppress(TimeoutError):  # of clients that do not read
                    async with asyncio.timeout(_LAST_STEPS):
                        await self._measured.end_endless([cycle.scope for cycle in self._cycles()])
                        await end_streams(self._cycles(), tuple(self.server_state.tasks))
            if not self.server_state.connections and not self.server_state.tasks and now - began >= least:
                return
            await asyncio.sleep(_LOOK)

    def _last_answers(self) -> None:
        """From now on each answer says that it is its connection's last, also where its request has begun already."""
        self._sampling.all(self.server_state.connections)
        for cycle in self._cycles():
            if not cycle.response_started and CLOSE not in cycle.scope["headers"]:
                cycle.keep_alive = False
                cycle.scope["headers"].append(CLOSE)

    async def _cut(self) -> None:
        """The time is over: requests that still run are cancelled, what is left of connections is closed."""
        for task in list(self.server_state.tasks):
            task.cancel()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_LAST_STEPS)
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)


def is_silent(connection: Any) -> bool:
    """Whether nothing of a request has come on a connection that is not answered yet. A websocket never is."""
    cycle = getattr(connection, "cycle", connection)
    if cycle is connection or (cycle is not None and not cycle.response_complete):
        return False
    parser: Any = getattr(connection, "conn", None)
    if hasattr(parser, "trailing_data"):  # h11: the beginning of a head waits for its rest
        return not parser.trailing_data[0]
    begun = getattr(connection, "scope", None)  # httptools: made at the first byte
    return begun is None or (cycle is not None and cycle.scope is begun)
