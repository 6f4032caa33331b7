"""The blocking side of a channel: for a worker without an event loop. Imports no asyncio."""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery._base.framing import MAX_FRAME
from rookery.errors import ChannelTimeout, Disconnected, LinkError, RookeryError
from rookery.ipc import envelope as kinds
from rookery.ipc.arrived import Arrived, WithFds, again
from rookery.ipc.codecs import codec_named
from rookery.ipc.envelope import Envelope
from rookery.ipc.handlers import Handlers, briefly, nobody, remote_error, told
from rookery.ipc.intake import Intake
from rookery.ipc.outbox import Outbox
from rookery.ipc.ports import SocketPort, check_fds, close_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from rookery.ipc.codecs import Codec
    from rookery.ipc.handlers import Handler
    from rookery.ipc.ports import Port

REQUEST_TIMEOUT = 30.0
_MOST_KEPT = 65_536
_MOST_KEPT_BYTES = 64 * 1024 * 1024


class _Work(NamedTuple):
    handler: Handler | None
    message: Any
    number: int
    fds: list[int]


class SyncCall:
    """What a handler knows beside the message. fds: came with it; what it does not take() is closed after it."""

    def __init__(self, channel: SyncChannel, number: int, fds: list[int]) -> None:
        self._channel = channel
        self._number = number
        self.fds = fds
        self.is_request = number > 0

    @property
    def is_cancelled(self) -> bool:
        """Whether whoever asked has given up, or has gone; looks at what has come by now."""
        return self._channel._is_cancelled(self._number)  # noqa: SLF001 - two halves of one thing

    def progress(self, value: Any) -> None:
        """Tell whoever waits how far it is. Raises LinkError, UsageError; nothing for a message."""
        if self.is_request:
            self._channel._send_envelope(Envelope(kinds.PROGRESS, self._number, value))  # noqa: SLF001

    def take(self) -> list[int]:
        """The descriptors, which are the caller's from now on."""
        taken, self.fds = self.fds, []
        return taken


class SyncChannel:
    """Like Channel, blocking: each call waits until it is done.

    Handlers run inside receive(), request() and serve(), one at a time, in the order of what came. While a handler
    runs nothing else is answered, pings neither. If both sides are blocking and send more than the socket holds before
    either receives, both wait: let one of them be a Channel. Not safe for several threads at once.
    """

    def __init__(
        self,
        sock: socket.socket | Port,
        *,
        codec: str | Codec = "msgpack",
        max_message: int = MAX_FRAME,
        name: str = "",
    ) -> None:
        self.name = name
        self._codec = codec_named(codec)
        self._encode = self._codec.encode if self._codec.is_plain else None
        self._port: Port = SocketPort(sock) if isinstance(sock, socket.socket) else sock
        self._codec.passes_fds = self._port.passes_fds
        self._port.set_blocking(True)
        self._outbox = Outbox(limit=max_message, is_lines=self._codec.is_lines)
        self._intake = Intake(self._port, self._codec, limit=max_message, name=name)
        self._poll = select.poll()
        self._poll.register(self._port.reading, select.POLLIN)
        self._handlers = Handlers()
        self._queue: deque[Any] = deque()
        self._work: deque[_Work] = deque()
        self._kept_bytes = 0
        self._is_working = False
        self._number = 0
        self._asked: dict[int, Callable[[Any], object] | None] = {}
        self._answers: dict[int, Envelope] = {}
        self._cancelled: set[int] = set()
        self._current = 0
        self._error: LinkError | None = None
        self._write_error: LinkError | None = None

    @classmethod
    def pair(cls, *, codec: str = "msgpack", max_message: int = MAX_FRAME) -> tuple[Self, Self]:
        """Two ends in this process. Raises OSError."""
        ours, theirs = socket.socketpair()
        return cls(ours, codec=codec, max_message=max_message), cls(theirs, codec=codec, max_message=max_message)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """Whether the other side is there, as far as is known: it is looked at when something is received."""
        return self._error is None

    @property
    def error(self) -> LinkError | None:
        """Why the channel has ended."""
        return self._error

    def fileno(self) -> int:
        """The descriptor that can be read when something comes; what has come already does not show there."""
        return self._port.reading

    def send(self, message: Any, *, fds: Sequence[int] = ()) -> None:
        """Send a message; waits until the socket has all of it. Raises Disconnected, UsageError."""
        if self._encode is None or fds:
            self._send_envelope(Envelope(kinds.MESSAGE, 0, message, fds))
        else:
            self._outbox.add(self._encode(message))
            self._flush()

    def receive(self, *, timeout: float | None = None) -> Any:
        """The next message that no handler takes; descriptors that came with it are closed.

        timeout: seconds. Raises ChannelTimeout, Disconnected, FrameError.
        """
        message = self._next(timeout)
        if type(message) is Arrived:
            close_all(message.fds)
            return message.message
        return message

    def receive_with_fds(self, *, timeout: float | None = None) -> WithFds:
        """Like receive; the descriptors are the caller's to close."""
        message = self._next(timeout)
        return WithFds(*message) if type(message) is Arrived else WithFds(message, [])

    def __iter__(self) -> Iterator[Any]:
        """Messages until the other side has gone. Raises FrameError."""
        while True:
            try:
                message = self.receive()
            except Disconnected:
                return
            yield message

    def on(self, kind: str | type, handler: Callable[..., Any], *, with_call: bool = False) -> None:
        """Have messages handled, see Channel.on. Handlers are plain functions here.

        What a handler raises is the answer to a request; for a message that is none it leaves the receive() or serve()
        that ran it.
        """
        self._handlers.set(kind, handler, with_call=with_call)

    def off(self, kind: str | type) -> None:
        """Forget a handler."""
        self._handlers.remove(kind)

    def serve(self) -> None:
        """Handle what comes until the other side has gone. Messages that no handler takes are dropped.

        Raises FrameError.
        """
        for _ in self:
            pass

    def request(
        self,
        message: Any,
        *,
        timeout: float | None = REQUEST_TIMEOUT,
        on_progress: Callable[[Any], object] | None = None,
        fds: Sequence[int] = (),
    ) -> Any:
        """What the other side's handler answers. Raises RemoteError, ChannelTimeout, Disconnected, UsageError.

        timeout: seconds; when it is over the handler is cancelled. Messages that come meanwhile are kept; over
        65,536 or 64 MiB of them the channel is closed.
        """
        found = self.request_with_fds(message, timeout=timeout, on_progress=on_progress, fds=fds)
        close_all(found.fds)
        return found.message

    def request_with_fds(
        self,
        message: Any,
        *,
        timeout: float | None = REQUEST_TIMEOUT,
        on_progress: Callable[[Any], object] | None = None,
        fds: Sequence[int] = (),
    ) -> WithFds:
        """Like request, for an answer that brings descriptors; they are the caller's to close."""
        self._number += 1
        return self._ask(Envelope(kinds.REQUEST, self._number, message, fds), timeout, on_progress)

    def ping(self, *, timeout: float = 5.0) -> float:
        """Seconds until the other side has answered. Raises ChannelTimeout, Disconnected."""
        began = time.monotonic()
        self._number += 1
        self._ask(Envelope(kinds.PING, self._number, None), timeout, None)
        return time.monotonic() - began

    def close(self) -> None:
        """Close; what was not received is dropped."""
        self._end(Disconnected("the channel was closed"))
        for message in self._queue:
            if type(message) is Arrived:
                close_all(message.fds)
        for work in self._work:
            close_all(work.fds)
        self._queue.clear()
        self._work.clear()
        self._outbox.clear()

    def _next(self, timeout: float | None) -> Any:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            if self._work:
                self._do_work()
            if self._queue:
                return self._queue.popleft()
            if self._error is not None:
                raise again(self._error)
            if not self._read(deadline):
                raise ChannelTimeout("no message came", timeout or 0.0)

    def _ask(self, request: Envelope, timeout: float | None, on_progress: Callable[[Any], object] | None) -> WithFds:
        deadline = None if timeout is None else time.monotonic() + timeout
        number = request.number
        self._asked[number] = on_progress
        try:
            self._send_envelope(request)
            while number not in self._answers:
                self._do_work()
                if number in self._answers:
                    break
                if self._error is not None:
                    raise again(self._error)
                if not self._read(deadline):
                    if request.kind == kinds.REQUEST:
                        self._send_envelope(Envelope(kinds.CANCEL, number, None))
                    raise ChannelTimeout("no answer came", timeout or 0.0)
            answer = self._answers.pop(number)
        finally:
            del self._asked[number]
        if answer.kind == kinds.ERROR:
            close_all(list(answer.fds))
            raise remote_error(answer.body)
        return WithFds(answer.body, list(answer.fds))

    def _read(self, deadline: float | None) -> bool:
        """Wait for something and take it; False when the deadline is over."""
        if deadline is not None:
            left = max(0.0, deadline - time.monotonic())
            if not self._poll.poll(left * 1000):
                return False
        messages, size, end = self._intake.read()
        for message in messages:
            if type(message) is Envelope:
                self._take_envelope(message)
            elif self._handlers and (handler := self._handlers.find(message)):
                self._work.append(_Work(handler, message, 0, []))
            else:
                self._queue.append(message)
        kept = len(self._queue) + len(self._work)
        self._kept_bytes = self._kept_bytes + size if kept else 0
        if kept > _MOST_KEPT or (kept > 1 and self._kept_bytes > _MOST_KEPT_BYTES):
            self.close()
            raise Disconnected("the channel was closed", why="too many messages came while an answer was awaited")
        if end is not None:
            self._end(end)
        return True

    def _take_envelope(self, envelope: Envelope) -> None:
        kind, number, body, fds = envelope
        if kind in (kinds.MESSAGE, kinds.REQUEST):
            handler = self._handlers.find(body)
            if handler is None and kind == kinds.MESSAGE:
                self._queue.append(Arrived(body, list(fds)) if fds else body)
            else:
                self._work.append(_Work(handler, body, number, list(fds)))
            return
        if kind == kinds.RAW:
            self._outbox.add_raw(body)
            self._flush()
        elif kind == kinds.PING:
            self._send_envelope(Envelope(kinds.PONG, number, None))
        elif kind == kinds.CANCEL:
            if number == self._current:
                self._cancelled.add(number)
            for work in [work for work in self._work if work.number == number > 0]:
                self._work.remove(work)
                close_all(work.fds)
        elif number in self._asked and number not in self._answers:
            if kind != kinds.PROGRESS:
                self._answers[number] = envelope
                return
            on_progress = self._asked[number]
            if on_progress is not None:
                on_progress(body)
        close_all(list(fds))

    def _do_work(self) -> None:
        """Run handlers, unless one is running: what comes while it asks something waits for its end."""
        while self._work and not self._is_working:
            work = self._work.popleft()
            self._is_working = True
            self._current = work.number
            call = SyncCall(self, work.number, work.fds)
            try:
                self._answer(work.number, self._result(work, call))
            finally:
                self._is_working = False
                self._cancelled.discard(self._current)
                self._current = 0
                close_all(call.fds)

    def _result(self, work: _Work, call: SyncCall) -> Envelope:
        if work.handler is None:
            return Envelope(kinds.ERROR, work.number, nobody(work.message))
        function = work.handler.function
        try:
            result = function(work.message, call) if work.handler.with_call else function(work.message)
        except Exception as error:
            if not work.number:
                raise
            return Envelope(kinds.ERROR, work.number, told(error))
        if isinstance(result, WithFds):
            return Envelope(kinds.REPLY, work.number, result.message, result.fds)
        return Envelope(kinds.REPLY, work.number, result)

    def _answer(self, number: int, answer: Envelope) -> None:
        try:
            if number and number not in self._cancelled:
                self._send_envelope(answer)
        except LinkError:  # nobody is there any more to be answered
            return
        except RookeryError as error:  # it cannot be encoded, or is too large
            with suppress(RookeryError):  # not even that fits: the other side has its timeout
                self._send_envelope(Envelope(kinds.ERROR, number, briefly(error)))
        finally:
            close_all(list(answer.fds))

    def _is_cancelled(self, number: int) -> bool:
        while self._error is None and self._poll.poll(0):
            self._read(None)
        return self._error is not None or number in self._cancelled

    def _send_envelope(self, envelope: Envelope) -> None:
        check_fds(envelope.fds, self._port)
        payload, own = self._codec.pack(envelope)
        if own or envelope.fds:
            self._outbox.add_with(payload, own, envelope.fds)
        else:
            self._outbox.add(payload)
        self._flush()

    def _flush(self) -> None:
        error = self._error or self._write_error
        if error is None:
            try:
                self._outbox.write(self._port)
            except OSError as failure:
                why = failure.strerror or str(failure)
                error = self._write_error = Disconnected("the other side does not listen any more", why=why)
        if error is not None:
            self._outbox.clear()
            raise again(error)

    def _end(self, error: LinkError) -> None:
        if self._error is None:
            self._error = error
            self._poll.unregister(self._port.reading)
            self._port.close()
