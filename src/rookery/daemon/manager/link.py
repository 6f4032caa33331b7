"""Requests and answers with another process of ours, frames of JSON with descriptors beside them (asyncio)."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import msgspec

from rookery import errors
from rookery._base import descriptors
from rookery._base.framing import FrameBuffer, frame

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

_READ = 65536
_MOST_FDS = 250
_DEADLINE = 10.0


class Link:
    """One connection. Answers are matched by id; what comes unasked goes to on_event.

    on_lost is called once when the connection ends, unless close() ended it. Whoever does not answer within the
    deadline is given up: nobody could tell what of a request he has done. One event loop.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        name: str,
        on_event: Callable[[dict[str, Any]], None],
        on_lost: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._name = name
        self._on_event = on_event
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._buffer = FrameBuffer()
        self._fds: list[int] = []
        self._answers: dict[int, asyncio.Future[tuple[dict[str, Any], list[int]]]] = {}
        self._next_id = 0
        self._waiting: list[tuple[bytes, list[int]]] = []
        self._is_open = True
        self._loop.add_reader(sock, self._readable)

    @property
    def is_open(self) -> bool:
        """Whether it can be used; after an error: whether the other side said no, or is gone."""
        return self._is_open

    async def call(
        self, verb: str, fds: Sequence[int] = (), *, deadline: float = _DEADLINE, **fields: object
    ) -> dict[str, Any]:
        """The answer to a request. Raises the error that the other side answered, or LinkError."""
        answer, received = await self._ask(verb, fds, deadline, fields)
        for fd in received:
            os.close(fd)
        return answer

    async def fetch(self, verb: str, **fields: object) -> tuple[dict[str, Any], list[int]]:
        """Like call, for an answer that brings descriptors; they are the caller's to close."""
        return await self._ask(verb, (), _DEADLINE, fields)

    def post(self, verb: str, **fields: object) -> None:
        """Send a request whose answer nobody needs."""
        if self._is_open:
            self._next_id += 1
            self._send({"id": self._next_id, "verb": verb, **fields}, ())

    async def _ask(
        self, verb: str, fds: Sequence[int], deadline: float, fields: dict[str, object]
    ) -> tuple[dict[str, Any], list[int]]:
        if not self._is_open:
            raise errors.LinkError(f"the {self._name} is gone")
        self._next_id += 1
        number = self._next_id
        future: asyncio.Future[tuple[dict[str, Any], list[int]]] = self._loop.create_future()
        self._answers[number] = future
        try:
            self._send({"id": number, "verb": verb, "fds": len(fds), **fields}, fds)
            answer, received = await asyncio.wait_for(future, deadline)
        except TimeoutError:
            self._lost()
            raise errors.LinkError(f"the {self._name} did not answer {verb} within {deadline:g} s") from None
        finally:
            self._answers.pop(number, None)
        if not answer.get("ok"):
            raise error_from(answer.get("error"))
        return answer, received

    def _send(self, message: dict[str, object], fds: Sequence[int]) -> None:
        data = frame(msgspec.json.encode(message))
        copies: list[int] = []  # because the caller may close its own before the socket takes these
        try:
            copies.extend(os.dup(fd) for fd in fds)
        except OSError:
            for fd in copies:
                os.close(fd)
            raise
        self._waiting.append((data, copies))
        self._flush()

    def _flush(self) -> None:
        try:
            while self._waiting:
                data, fds = self._waiting[0]
                sent = descriptors.send(self._sock, data, fds)
                for fd in fds:
                    os.close(fd)
                if sent == len(data):
                    self._waiting.pop(0)
                else:
                    self._waiting[0] = (data[sent:], [])
        except BlockingIOError:
            self._loop.add_writer(self._sock, self._flush)
        except OSError:
            self._lost()
        else:
            self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        try:
            data, fds, were_lost = descriptors.receive(self._sock, _READ, _MOST_FDS)
        except BlockingIOError:
            return
        except OSError:
            data, fds, were_lost = b"", [], False
        self._fds += fds
        if not data or were_lost:  # the end, or descriptors that were lost (EMFILE)
            self._lost()
            return
        try:
            for payload in self._buffer.feed(data):
                if self._is_open:  # an event may have ended it
                    self._take(msgspec.json.decode(payload))
        except (errors.FrameError, msgspec.DecodeError):
            self._lost()

    def _take(self, message: Any) -> None:
        count = message.get("fds", 0) if isinstance(message, dict) else None
        if not isinstance(count, int) or not 0 <= count <= len(self._fds):
            raise errors.FrameError(f"no answer, or one without its descriptors: {message!r:.100}")
        if "event" in message:
            self._on_event(message)
            return
        received, self._fds = self._fds[:count], self._fds[count:]
        future = self._answers.get(message.get("id"))
        if future is None or future.done():
            for fd in received:
                os.close(fd)
        else:
            future.set_result((message, received))

    def _lost(self) -> None:
        if self._is_open:
            self.close()
            self._on_lost()

    def close(self) -> None:
        """End the connection; what waits for an answer gets a LinkError."""
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        for fd in [*self._fds, *(fd for _, fds in self._waiting for fd in fds)]:
            os.close(fd)
        self._fds.clear()
        self._waiting.clear()
        for future in self._answers.values():
            if not future.done():
                future.set_exception(errors.LinkError(f"the {self._name} went away"))


def error_from(plain: object) -> errors.RookeryError:
    """The error that an answer describes."""
    if not isinstance(plain, dict):
        return errors.LinkError(str(plain))
    kind = getattr(errors, str(plain.get("type")), None)
    if kind is errors.CommandNotFound:
        return errors.CommandNotFound(plain["argv"], near=plain.get("near", ()), cwd=plain.get("cwd"))
    if isinstance(kind, type) and issubclass(kind, errors.SpawnError):
        return kind(
            plain.get("why", ""),
            argv=plain.get("argv", ()),
            cwd=plain.get("cwd"),
            errno=plain.get("errno", 0),
            hint=plain.get("hint", ""),
        )
    link = kind if kind in (errors.StaleLease, errors.FrameError) else errors.LinkError
    return link(str(plain.get("what", "")), why=str(plain.get("why", "")), hint=str(plain.get("hint", "")))
