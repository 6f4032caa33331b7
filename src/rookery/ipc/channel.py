"""Messages between two processes, both ways, in order (asyncio).

send -> codec -> Writer: together, waits when full -> port ~~~ port -> reader -> codec -> queue -> receive
                                                                                      '-> handlers (Served)
                                                                                      '-> answers (Calls)
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from rookery._base.framing import MAX_FRAME
from rookery.errors import Disconnected, LinkError, UsageError
from rookery.ipc import envelope as kinds
from rookery.ipc.arrived import Arrived, WithFds, again
from rookery.ipc.calls import Calls
from rookery.ipc.codecs import codec_named
from rookery.ipc.envelope import Envelope
from rookery.ipc.handlers import Handlers
from rookery.ipc.hang_up import HangUp
from rookery.ipc.inbox import Inbox
from rookery.ipc.intake import Intake
from rookery.ipc.ports import SocketPort, check_fds, close_all
from rookery.ipc.served import Served
from rookery.ipc.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from typing import Self

    from rookery.ipc.codecs import Codec
    from rookery.ipc.ports import Port

REQUEST_TIMEOUT = 30.0
_LINGER = 1.0


class Channel:
    """One end. sock: a connected stream socket (or a Port), taken over; the other end is a Channel or a SyncChannel.

    codec: "msgpack", "json", "json-lines", "node", "pickle", "text", or a Codec. max_message: bytes (16 MiB).
    name: for errors. Messages that nobody receives are kept up to 16,384 or 1 MiB; then nothing more is read, and the
    other side has to wait. Belongs to the running event loop; not safe for other threads. Raises UsageError.
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
        self._loop = asyncio.get_running_loop()
        self._codec = codec_named(codec)
        self._encode = self._codec.encode if self._codec.is_plain else None
        self._port: Port = SocketPort(sock) if isinstance(sock, socket.socket) else sock
        self._codec.passes_fds = self._port.passes_fds
        self._port.set_blocking(False)
        self._intake = Intake(self._port, self._codec, limit=max_message, name=name)
        self._writer = Writer(self._port, self._loop, limit=max_message, is_lines=self._codec.is_lines)
        self._inbox = Inbox(self._loop)
        self._queue = self._inbox.queue
        self._handlers = Handlers()
        self._calls = Calls(self._send_envelope, self._post)
        self._served = Served(self._send_envelope, self._post, lambda: self._writer.is_full, self._maybe_resume)
        self._error: LinkError | None = None
        self._ended = asyncio.Event()
        self._callbacks: list[Callable[[LinkError], object]] = []
        self._hang_up = HangUp(self._loop, self._port, self._resume)
        self._is_paused = False
        try:
            self._loop.add_reader(self._port.reading, self._readable)
        except PermissionError as error:  # a plain file
            self._port.close()
            raise UsageError("a channel wants sockets or pipes", why=str(error)) from error

    @classmethod
    def pair(cls, *, codec: str = "msgpack", max_message: int = MAX_FRAME) -> tuple[Self, Self]:
        """Two ends in this process. Raises OSError."""
        ours, theirs = socket.socketpair()
        return cls(ours, codec=codec, max_message=max_message), cls(theirs, codec=codec, max_message=max_message)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether the other side is there, as far as is known. What it sent before it left can still be received."""
        return self._error is None

    @property
    def error(self) -> LinkError | None:
        """Why the channel has ended: Disconnected, or FrameError for a malformed message."""
        return self._error

    async def send(self, message: Any, *, fds: Sequence[int] = ()) -> None:
        """Send a message; waits while 256 KB wait to be taken by the other side.

        fds: descriptors that go with it; they stay the caller's. Cancelled: nothing was sent. That it was sent does
        not say that the other side has it. Raises Disconnected, UsageError for what cannot be encoded or is too large.
        """
        if self._encode is None or fds:
            await self._send_envelope(Envelope(kinds.MESSAGE, 0, message, fds))
        else:
            writer = self._writer
            if writer.must_wait:
                await writer.wait_for_room()
            if writer.put(self._encode(message)):
                await asyncio.sleep(0)  # a sender that never has to wait must not keep the others from their turn

    async def receive(self) -> Any:
        """The next message that no handler takes; descriptors that came with it are closed.

        Cancelled: no message is lost. Raises Disconnected when the other side has gone and everything is received,
        FrameError where it sent something malformed.
        """
        if not self._queue:
            await self._wait_for_message()
        if self._is_paused or self._inbox.receivers or type(self._queue[0]) is Arrived:
            return self._taken()
        return self._queue.popleft()

    async def receive_with_fds(self) -> WithFds:
        """Like receive; the descriptors are the caller's to close."""
        if not self._queue:
            await self._wait_for_message()
        message = self._queue.popleft()
        self._received()
        return WithFds(message.message, message.fds) if type(message) is Arrived else WithFds(message, [])

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Messages until the other side has gone. Raises FrameError."""
        while True:
            if not self._queue:
                try:
                    await self._wait_for_message()
                except Disconnected:
                    return
            yield self._taken()

    def on(self, kind: str | type, handler: Callable[..., Any], *, with_call: bool = False) -> None:
        """Have messages handled: those whose "type" is kind, those of that Python type, or any other for "*".

        handler(message), or handler(message, call) with_call, may be a plain function (it must not wait) or a coroutine
        function, of which up to 1,000 run at once. What it gives is the answer where the message is a request.
        """
        self._handlers.set(kind, handler, with_call=with_call)

    def off(self, kind: str | type) -> None:
        """Forget a handler."""
        self._handlers.remove(kind)

    async def request(
        self,
        message: Any,
        *,
        timeout: float | None = REQUEST_TIMEOUT,  # noqa: ASYNC109 - the other side is told
        on_progress: Callable[[Any], object] | None = None,
        fds: Sequence[int] = (),
    ) -> Any:
        """What the other side's handler answers. timeout: seconds, None: as long as the channel lives.

        Cancelling, and the timeout, cancel the handler too. 1,000 may be underway; the next one waits within its
        timeout. Raises RemoteError, ChannelTimeout, Disconnected, FrameError, UsageError.
        """
        found = await self.request_with_fds(message, timeout=timeout, on_progress=on_progress, fds=fds)
        close_all(found.fds)
        return found.message

    async def request_with_fds(
        self,
        message: Any,
        *,
        timeout: float | None = REQUEST_TIMEOUT,  # noqa: ASYNC109
        on_progress: Callable[[Any], object] | None = None,
        fds: Sequence[int] = (),
    ) -> WithFds:
        """Like request, for an answer that brings descriptors; they are the caller's to close."""
        return await self._calls.call(
            kinds.REQUEST, message, fds=fds, timeout=timeout, on_progress=on_progress, hint=self._hint
        )

    async def ping(self, *, timeout: float = 5.0) -> float:  # noqa: ASYNC109
        """Seconds until the other side's loop has answered. Raises ChannelTimeout, Disconnected, FrameError."""
        began = self._loop.time()
        await self._calls.call(kinds.PING, None, timeout=timeout, hint=self._hint)
        return self._loop.time() - began

    def on_disconnect(self, callback: Callable[[LinkError], object]) -> None:
        """Call back once when the channel has ended, with the reason; soon where it has already."""
        if self._error is None:
            self._callbacks.append(callback)
        else:
            self._loop.call_soon(callback, self._error)

    async def wait_closed(self) -> LinkError:
        """Why the channel has ended, once it has."""
        while self._error is None:
            await self._ended.wait()
        return self._error

    async def close(self, *, linger: float = _LINGER) -> None:
        """Send what waits (linger: seconds), close, and end the handlers. What was not received is dropped."""
        try:
            if self._error is None and linger > 0:
                async with asyncio.timeout(linger):
                    await self._writer.drain()
        except TimeoutError:
            pass
        finally:
            self.abort()
        await self._served.cancel_all()

    def abort(self) -> None:
        """Close at once; what waits to be sent or received is dropped."""
        self._end(Disconnected(f"the channel{self._named()} was closed"))
        self._inbox.clear()

    # Reading

    def _readable(self) -> None:
        try:
            messages, size, end = self._intake.read()
        except (BlockingIOError, InterruptedError):
            return
        queue, handlers = self._queue, self._handlers
        before = len(queue)
        for message in messages:
            if type(message) is Envelope:
                self._take_envelope(message)
            elif handlers and (handler := handlers.find(message)):
                self._served.start(handler, message, 0, [])
            else:
                queue.append(message)
        is_full = queue and self._inbox.came(size, before)
        if end is not None:
            self._end(end)
        else:
            if (is_full or self._served.is_crowded) and not self._is_paused:
                self._pause()
            if self._inbox.receivers and queue:
                self._inbox.wake(now=True)  # last of all: the receiver may do anything

    def _take_envelope(self, envelope: Envelope) -> None:
        kind, number, body, fds = envelope
        if self._error is not None:  # a handler before it has closed the channel
            close_all(list(fds))
        elif kind in (kinds.MESSAGE, kinds.REQUEST):
            handler = self._handlers.find(body)
            if handler is None and kind == kinds.MESSAGE:
                self._queue.append(Arrived(body, list(fds)) if fds else body)
            else:
                self._served.start(handler, body, number, list(fds))
        elif kind == kinds.RAW:
            self._writer.post_raw(body)
        elif kind in (kinds.PING, kinds.CANCEL):
            close_all(list(fds))
            if kind == kinds.CANCEL:
                self._served.cancel(number)
            elif not self._writer.is_full:
                self._post(Envelope(kinds.PONG, number, None))
        else:
            self._calls.take(envelope)

    def _pause(self) -> None:
        if self._error is None and not self._hang_up.has_happened:
            self._is_paused = True
            self._loop.remove_reader(self._port.reading)
            self._hang_up.watch()

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._inbox.halve()
            self._hang_up.ignore()
            self._loop.add_reader(self._port.reading, self._readable)

    def _taken(self) -> Any:
        message = self._queue.popleft()
        if type(message) is Arrived:
            close_all(message.fds)
            message = message.message
        if self._is_paused or self._inbox.receivers:
            self._received()
        return message

    def _received(self) -> None:
        if self._queue and self._inbox.receivers:
            self._inbox.wake()
        self._maybe_resume()

    def _maybe_resume(self) -> None:
        if self._is_paused and self._inbox.has_room and not self._served.is_crowded:
            self._resume()

    async def _wait_for_message(self) -> None:
        while not self._queue:
            if self._error is not None:
                raise again(self._error)
            inbox = self._inbox
            self._writer.hurry()  # the other side may be waiting for it before it says anything
            waiting = inbox.enter()
            try:
                await waiting
            except asyncio.CancelledError:
                if waiting.was_woken:  # and cancelled at once: the turn goes on
                    inbox.wake()
                raise
            inbox.leave(waiting)

    # Sending

    async def _send_envelope(self, envelope: Envelope) -> None:
        check_fds(envelope.fds, self._port)
        payload, own = self._codec.pack(envelope)
        writer = self._writer
        try:
            if writer.must_wait:
                await writer.wait_for_room()
        except BaseException:
            close_all(own)
            raise
        if writer.put(payload, own, envelope.fds):
            await asyncio.sleep(0)

    def _post(self, envelope: Envelope) -> None:
        if self._error is None:
            self._writer.put(*self._codec.pack(envelope))

    # The end

    def _end(self, error: LinkError) -> None:
        if self._error is not None:
            return
        self._error = error
        self._loop.remove_reader(self._port.reading)
        self._hang_up.close()
        self._writer.fail(error)
        self._port.close()
        self._calls.fail(error)
        self._served.cancel_requests()
        self._inbox.wake_all()
        self._ended.set()
        for callback in self._callbacks:
            self._loop.call_soon(callback, error)
        self._callbacks.clear()

    def _named(self) -> str:
        return f" {self.name}" if self.name else ""

    def _hint(self) -> str:
        if self._is_paused and self._queue:
            return f"{len(self._queue)} messages wait unread before it: receive them, or set a handler for '*'"
        return ""
