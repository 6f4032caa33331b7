"""A function that is called for each connection.

``async def handle(reader, writer)``, ``async def handle(sock)`` (not blocking), or ``def handle(sock)`` in a thread.
The connection is closed when it returns. A connection counts as a request: its time, and an error where it raises.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery.cluster import contract, here, stats
from rookery.cluster.runner.beat import beat_in_loop
from rookery.cluster.runner.source import intake_of
from rookery.cluster.runner.tls import context_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from rookery.cluster.contract import Orders

_log = logging.getLogger("rookery.cluster")
_LAST_STEPS = 1.0
_THREADS = 32
_MOST = 1000


def serve(handle: Callable[..., Any], orders: Orders) -> None:
    """Serve until SIGTERM."""
    page = stats.Page(orders.page) if orders.page >= 0 else stats.Page.make()
    asyncio.run(ConnectionServer(handle, orders, page.words).run())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a thread that hangs in the handler must not keep the process


class ConnectionServer:
    """handle: see the module. max_connections (1,000, for threads their number): no more are accepted meanwhile."""

    def __init__(self, handle: Callable[..., Any], orders: Orders, words: memoryview[int]) -> None:
        options = dict(orders.options)
        self._tls: ssl.SSLContext | None = context_of(options)
        self._handle = handle
        self._is_async = inspect.iscoroutinefunction(handle) or inspect.iscoroutinefunction(type(handle).__call__)
        self._wants_streams = self._is_async and len(inspect.signature(handle).parameters) >= 2
        threads = int(options.get("threads", _THREADS))
        self._most = int(options.get("max_connections", _MOST if self._is_async else threads))
        self._pool = None if self._is_async else ThreadPoolExecutor(threads, "connection")
        self._orders = orders
        self._words = words
        self._intake = intake_of(orders, words)
        self._open: dict[asyncio.Task[None], tuple[socket.socket, float]] = {}
        self._is_held = False

    async def run(self) -> None:
        """From READY to the end of the last connection."""
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        beat = asyncio.ensure_future(beat_in_loop(self._words, self._look))
        self._intake.start(self._take)
        contract.notify("READY=1")
        await told.wait()
        contract.notify("STOPPING=1")
        self._words[stats.FLAGS] |= stats.IS_DRAINING
        await self._intake.stop()
        here.begin_drain()
        if self._open:
            await asyncio.wait(list(self._open), timeout=self._orders.drain_timeout)
        for task, (sock, _) in list(self._open.items()):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            task.cancel()
        if self._open:
            await asyncio.wait(list(self._open), timeout=_LAST_STEPS)
        beat.cancel()

    def _take(self, sock: socket.socket) -> None:
        task = asyncio.ensure_future(self._serve(sock))
        self._open[task] = sock, time.monotonic()
        task.add_done_callback(self._ended)
        self._words[stats.IN_FLIGHT] = self._words[stats.CONNECTIONS] = len(self._open)
        if len(self._open) >= self._most and not self._is_held:
            self._is_held = True
            self._intake.hold()

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._open[task]
        self._words[stats.IN_FLIGHT] = self._words[stats.CONNECTIONS] = len(self._open)
        if self._is_held and len(self._open) < self._most:
            self._is_held = False
            self._intake.go_on()

    async def _serve(self, sock: socket.socket) -> None:
        began, is_well = time.monotonic(), False
        try:
            await self._call(sock)
            is_well = True
        except asyncio.CancelledError:
            is_well = False
        except (ConnectionError, TimeoutError, EOFError):  # the client's doing
            is_well = True
        except Exception:
            _log.exception("a connection failed")
        finally:
            self._count(time.monotonic() - began, is_well=is_well)

    async def _call(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if self._pool is not None:
            await loop.run_in_executor(self._pool, self._in_thread, sock)
        elif self._wants_streams:
            reader = asyncio.StreamReader(loop=loop)
            protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=self._tls)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            try:
                await self._handle(reader, writer)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
        else:
            with sock:
                await self._handle(sock)

    def _in_thread(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        with sock if self._tls is None else self._tls.wrap_socket(sock, server_side=True) as connection:
            self._handle(connection)

    def _count(self, seconds: float, *, is_well: bool) -> None:
        words, spent = self._words, int(seconds * 1e6)
        words[stats.REQUESTS] += 1
        words[stats.ERRORS] += not is_well
        words[stats.LATENCY] += spent
        words[stats.HISTOGRAM + stats.bucket(spent)] += 1

    def _look(self) -> None:
        limit = self._orders.request_timeout
        if limit is None:
            return
        latest = time.monotonic() - limit
        for task, (sock, began) in list(self._open.items()):
            if began < latest:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                if self._is_async:
                    task.cancel()
                else:  # its thread may hang in something else for ever
                    self._words[stats.FLAGS] |= stats.WANTS_REPLACEMENT
