"""A function that is given the listening socket: ``def main(sock)`` or ``async def main(sock)`` (several: a list).

SIGTERM: ``here.on_drain`` callbacks are called. Where nobody wanted to hear of it, accept() ends main() between two
connections, or its task is cancelled; what it has begun (threads, tasks) goes on to its end, within drain_timeout.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import select
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from rookery.cluster import contract, here, stats
from rookery.cluster.runner.beat import beat_in_loop, beat_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.cluster.contract import Orders

_WAKE = b"x"


def serve(main: Callable[..., Any], orders: Orders) -> None:
    """Run main until SIGTERM."""
    page = stats.Page(orders.page) if orders.page >= 0 else stats.Page.make()
    if inspect.iscoroutinefunction(main):
        asyncio.run(_serve_async(main, orders, page.words))
    else:
        _serve_blocking(main, orders, page.words)


# -- blocking -------------------------------------------------------------------------------------------------------


class Listening(socket.socket):
    """A listening socket whose accept() ends the program when it is to drain. It counts what it accepts."""

    __slots__ = ("_wake", "_words")

    def __init__(self, number: int, wake: int, words: memoryview[int]) -> None:
        super().__init__(fileno=number)
        self._wake = wake
        self._words = words
        os.set_blocking(number, False)  # several workers wait for one connection: the others are not to hang

    def accept(self) -> tuple[socket.socket, Any]:
        """See socket.accept. Raises SystemExit when this worker is to take nothing new."""
        while True:
            poll = select.poll()
            poll.register(self.fileno(), select.POLLIN)
            poll.register(self._wake, select.POLLIN)
            ready = dict(poll.poll())
            if here.is_draining():
                raise SystemExit(0)
            if self.fileno() in ready:
                try:
                    fd, address = self._accept()  # type: ignore[attr-defined]
                except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                    continue
                self._words[stats.REQUESTS] += 1
                return socket.socket(self.family, self.type, self.proto, fileno=fd), address


def _serve_blocking(main: Callable[..., Any], orders: Orders, words: memoryview[int]) -> None:
    wake, told = os.pipe()

    def drain(*_: object) -> None:
        if not here.is_draining():
            contract.notify("STOPPING=1")
            words[stats.FLAGS] |= stats.IS_DRAINING
            here.begin_drain()
            os.write(told, _WAKE)
            limit = threading.Timer(orders.drain_timeout, os._exit, (0,))
            limit.daemon = True
            limit.start()

    signal.signal(signal.SIGTERM, drain)
    signal.signal(signal.SIGINT, drain)
    beat_in_thread(words)
    sockets = [Listening(number, wake, words) for number in orders.sockets]
    contract.notify("READY=1")
    main(sockets[0] if len(sockets) == 1 else sockets)


# -- asyncio --------------------------------------------------------------------------------------------------------


async def _serve_async(main: Callable[..., Any], orders: Orders, words: memoryview[int]) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    beat = loop.create_task(beat_in_loop(words))
    sockets = [socket.socket(fileno=number) for number in orders.sockets]
    for sock in sockets:
        sock.setblocking(False)
    program = loop.create_task(main(sockets[0] if len(sockets) == 1 else sockets))
    waiting = loop.create_task(told.wait())
    contract.notify("READY=1")
    await asyncio.wait({program, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if program.done():
        waiting.cancel()
        beat.cancel()
        program.result()
        return
    contract.notify("STOPPING=1")
    words[stats.FLAGS] |= stats.IS_DRAINING
    deadline = loop.time() + orders.drain_timeout
    if not here.begin_drain():
        program.cancel()
    await asyncio.wait({program}, timeout=orders.drain_timeout)
    program.cancel()
    while loop.time() < deadline and (left := _others(beat)):  # connections have tasks of their own
        await asyncio.wait(left, timeout=deadline - loop.time())
    beat.cancel()
    if program.done() and not program.cancelled() and program.exception() is not None:
        sys.stderr.write(f"{program.exception()!r}\n")


def _others(*known: asyncio.Task[Any]) -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task not in (*known, asyncio.current_task())}
