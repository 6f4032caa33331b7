"""Connections that the acceptor has accepted for this worker."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery.cluster import stats
from rookery.cluster.acceptor import wire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

_PATIENCE = 0.2
"""Seconds for the parent to end the stream; where it does not (somebody else has sent the signal) the worker does."""
_MESSAGES = 4
"""In one turn of the loop: then those who are here already have theirs."""
_SPARE = 2 * wire.MOST
_PAUSE = 0.1
_TURN = 0.002
_counting = threading.Lock()  # apps close connections in threads too


def _stop_counting() -> None:
    """In a forked copy of the worker: what is closed there is still open here."""
    Passed.counts = False


os.register_at_fork(after_in_child=_stop_counting)


class Passed(socket.socket):
    """A connection that says when it is closed: the acceptor counts by it."""

    __slots__ = ("_words",)
    counts = True

    def __init__(self, family: int, fd: int, words: memoryview[int]) -> None:
        self._words: memoryview[int] | None = words
        super().__init__(family, socket.SOCK_STREAM, 0, fileno=fd)

    def close(self) -> None:
        """See socket.close."""
        self._count()
        super().close()

    def detach(self) -> int:
        """See socket.detach."""
        self._count()
        return super().detach()

    def _count(self) -> None:
        if not Passed.counts:
            return
        with _counting:
            words, self._words = self._words, None
            if words is not None:
                words[stats.CLOSED] += 1


class Room:
    """How many descriptors are left: one that arrives where there is none is lost, its client reset."""

    def __init__(self, words: memoryview[int]) -> None:
        self._words = words

    def is_left(self) -> bool:
        """Whether a whole message may come. Descriptors are counted only where connections alone fill a third."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        connections = self._words[stats.ACCEPTED] - self._words[stats.CLOSED]
        if most == resource.RLIM_INFINITY or 3 * connections + _SPARE < most:
            return True
        return len(os.listdir("/dev/fd")) + _SPARE < most


class Intake:
    """This worker's end of its stream. source: what Passing.open said; words: of the page. One event loop."""

    def __init__(self, source: Mapping[str, Any], words: memoryview[int]) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=source["fd"])
        self._sock.set_inheritable(False)
        self._sock.setblocking(False)
        self._families: list[int] = list(source["families"])
        self._words = words
        self._room = Room(words)
        self._ended = asyncio.Event()
        self._later: asyncio.TimerHandle | None = None
        self._is_held = False
        self._take: Callable[[socket.socket], object]

    def start(self, take: Callable[[socket.socket], object]) -> None:
        """Call it with each connection, not blocking, from now on."""
        self._take = take
        self.go_on()

    def hold(self) -> None:
        """Take none for now; they wait, and soon the acceptor passes this worker over."""
        self._is_held = True
        if self._later is not None:
            self._later.cancel()
        if not self._ended.is_set():
            asyncio.get_running_loop().remove_reader(self._sock)

    def go_on(self) -> None:
        """Take them again."""
        self._is_held = False
        if not self._ended.is_set():
            asyncio.get_running_loop().add_reader(self._sock, self._read)

    async def stop(self) -> None:
        """Take no new ones; all that were passed have been taken when it returns."""
        self.go_on()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._ended.wait()
        if not self._ended.is_set():
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RD)
            while not self._ended.is_set():  # the kernel still gives what was passed before
                self._is_held = False
                self._read()
                await asyncio.sleep(_TURN)

    def _read(self) -> None:
        for _ in range(_MESSAGES):
            if self._is_held:
                return
            if not self._room.is_left():
                self._rest()
                return
            try:
                marks, fds = wire.receive(self._sock)
            except BlockingIOError:
                return
            except OSError:
                marks, fds = b"", []
            if not marks:
                self._end()
                return
            for mark, fd in zip(marks, fds, strict=False):
                self._words[stats.ACCEPTED] += 1
                sock = Passed(self._families[mark], fd, self._words)
                sock.setblocking(False)
                self._take(sock)

    def _rest(self) -> None:
        """Read again in a while."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock)
        if self._later is not None:
            self._later.cancel()
        if not self._ended.is_set():
            self._later = loop.call_later(_PAUSE, self._look_again)

    def _look_again(self) -> None:
        if not self._is_held:
            self.go_on()

    def _end(self) -> None:
        self._ended.set()
        if self._later is not None:
            self._later.cancel()
        if self._sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()


class PassedSource:
    """See Source."""

    def __init__(self, source: Mapping[str, Any], words: memoryview[int]) -> None:
        self._intake = Intake(source, words)
        self._beginning: set[asyncio.Task[Any]] = set()
        self._is_tls = False

    async def start(
        self,
        make: Callable[[], asyncio.Protocol],
        *,
        tls: ssl.SSLContext | None,
        backlog: int,  # noqa: ARG002
    ) -> None:
        """See Source."""
        loop = asyncio.get_running_loop()
        self._is_tls = tls is not None

        def take(sock: socket.socket) -> None:
            task = loop.create_task(loop.connect_accepted_socket(make, sock, ssl=tls))
            self._beginning.add(task)
            task.add_done_callback(self._begun)

        self._intake.start(take)

    def _begun(self, task: asyncio.Task[Any]) -> None:
        self._beginning.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, OSError):
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a connection could not be served", "exception": error, "task": task}
            )

    async def stop(self) -> None:
        """See Source."""
        await self._intake.stop()
        if self._beginning and not self._is_tls:
            await asyncio.wait(set(self._beginning))
