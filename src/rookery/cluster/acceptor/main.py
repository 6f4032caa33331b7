"""The program of the acceptor. It stands on the standard library, the streams and the pages."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from time import monotonic

from rookery._os.title import set_title
from rookery.cluster.acceptor import orders as order_book
from rookery.cluster.acceptor import wire
from rookery.cluster.acceptor.accepting import Acceptor
from rookery.cluster.acceptor.choice import STRATEGIES, of_yours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.cluster.acceptor.choice import Strategy

_QUIET = 1.0
"""Seconds between two complaints."""


def main() -> None:
    """Accept until SIGTERM."""
    orders = order_book.take()
    wake, told = socket.socketpair()
    for sock in (wake, told):
        sock.setblocking(False)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for entry in orders.path:
        if entry not in sys.path:
            sys.path.append(entry)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=orders.control)
    listeners = [socket.socket(fileno=number) for number in orders.sockets]
    for sock in (control, *listeners):
        sock.set_inheritable(False)
        sock.setblocking(False)
    _all_descriptors()
    try:
        strategy = _strategy(orders)
    except BaseException:
        control.send(wire.FAILED + traceback.format_exc(limit=-3).encode()[:4000])
        sys.exit(1)
    if orders.title:
        set_title(orders.title)
    acceptor = Acceptor(listeners, control, strategy, passes_over=orders.balance == "round_robin")
    acceptor.watch(wake)
    control.send(wire.READY)
    acceptor.run()


def _strategy(orders: order_book.Orders) -> Strategy:
    known = STRATEGIES.get(orders.balance)
    return known if known is not None else of_yours(order_book.function_of(orders), Complaints().say)


class Complaints:
    """Goes to stderr, but not for each of thousands of connections."""

    def __init__(self) -> None:
        self._next = 0.0
        self._silent = 0

    def say(self, text: str) -> None:
        """One complaint."""
        if monotonic() < self._next:
            self._silent += 1
            return
        more = f" (and {self._silent} more)" if self._silent else ""
        self._next, self._silent = monotonic() + _QUIET, 0
        with suppress(OSError):
            os.write(2, f"rookery: {text}{more}\n".encode())


def _all_descriptors() -> None:
    """As many as may be had: streams and pages of all workers, and what is on its way."""
    import resource  # noqa: PLC0415 - not everywhere

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # macOS says unlimited, and takes less
            return
