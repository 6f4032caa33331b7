"""The worker's side of the heartbeat: send back what comes, and know how long nothing came. Imports no asyncio."""

from __future__ import annotations

import select
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_MOST = 256
_PATIENCE = 1.0


class Beat:
    """sock: taken over. limit: seconds without a byte after which the parent is silent: stopped, or stuck.

    That is told as a fact and has no consequence: a parent that was stopped may go on. One that has gone is another
    matter, see the channel.
    """

    def __init__(self, sock: socket.socket, limit: float) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._heard_at = time.monotonic()
        self.limit = limit

    @property
    def silent_for(self) -> float:
        """Seconds since the parent's last heartbeat, or since the start. Any thread may ask."""
        silent, fd = time.monotonic() - self._heard_at, self._sock.fileno()
        if fd < 0:
            return 0.0
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return 0.0 if poll.poll(0) else silent  # this process was stopped itself: there it is

    @property
    def is_silent(self) -> bool:
        """Whether nothing was heard of the parent for so long that it must be stopped or stuck."""
        return self.silent_for >= self.limit

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to come: the parent has gone or wants no answers any more."""
        return self._sock.fileno() < 0

    def answer(self) -> bool:
        """Send back what has come; False at the end."""
        try:
            data = self._sock.recv(_MOST)
            if not data:
                return False
            self._heard_at = time.monotonic()
            self._sock.send(data)
        except (BlockingIOError, InterruptedError):  # nothing came, or there is no room: then it has enough
            return True
        except OSError:
            return False
        return True


class LoopBeat(Beat):
    """Answered by the event loop: if that is stuck, the parent notices."""

    def __init__(self, sock: socket.socket, limit: float, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(sock, limit)
        self._loop = loop
        self._callbacks: list[Callable[[bool], object]] = []
        self._was_silent = False
        self._timer = loop.call_later(limit, self._look)
        loop.add_reader(sock, self._came)

    def on_silence(self, callback: Callable[[bool], object]) -> None:
        """Call back with True when the parent falls silent, with False when it is heard again. In the event loop."""
        self._callbacks.append(callback)

    def close(self) -> None:
        """Answer no more."""
        if not self.has_ended:
            self._loop.remove_reader(self._sock)
            self._timer.cancel()
            self._sock.close()

    def _came(self) -> None:
        if self.answer():
            self._changed(is_silent=False)
        else:
            self.close()

    def _look(self) -> None:
        silent = self.silent_for
        self._changed(is_silent=silent >= self.limit)
        self._timer = self._loop.call_later(max(self.limit - silent, self.limit / 10), self._look)

    def _changed(self, *, is_silent: bool) -> None:
        if is_silent == self._was_silent:
            return
        self._was_silent = is_silent
        for callback in self._callbacks:
            self._loop.call_soon(callback, is_silent)


class ThreadBeat(Beat):
    """Answered by a thread: the program may compute for long, as long as it lets go of the interpreter's lock."""

    def __init__(self, sock: socket.socket, limit: float) -> None:
        super().__init__(sock, limit)
        self._thread = threading.Thread(target=self._run, name="rookery-heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended already
            return
        if self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they belong to the main thread
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        while self.answer():
            poll.poll()
        self._sock.close()
