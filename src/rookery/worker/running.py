"""A worker that runs: a child, and the channel to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rookery.ipc.channel import REQUEST_TIMEOUT
from rookery.worker.child_channel import status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from rookery.lifecycle.exit import ExitStatus
    from rookery.lifecycle.stop import StopPlan
    from rookery.process.child import Child
    from rookery.process.input import InputStream
    from rookery.process.output import OutputStream
    from rookery.process.result import Result
    from rookery.worker.child_channel import ChildChannel
    from rookery.worker.heartbeat import Heart
    from rookery.worker.tail import Tail

_LAST_STEPS = 1.0


class Worker:
    """Made by fork(); use it from the event loop in which it was started.

    child: the process; channel: see Channel; target: what was forked; heartbeat: what is known of its heart, None where
    fork() was not asked to watch it. Whoever waits for a message or an answer is told
    when the worker ends: WorkerLost, with exit code, signal and its last lines on stderr.
    """

    def __init__(
        self,
        target: str,
        child: Child[Any],
        channel: ChildChannel,
        tail: Tail,
        *,
        on_change: Callable[[str, Worker], object] | None,
    ) -> None:
        self.target = target
        self.child = child
        self.channel = channel
        self._tail = tail
        self._on_change = on_change
        self.heartbeat: Heart | None = None
        self._beating: asyncio.Task[None] | None = None
        channel.on_disconnect(lambda _: self.say("disconnected"))
        child.on_close(self._closed)

    def __repr__(self) -> str:
        return f"<Worker {self.target!r} {self.child!r}>"

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.child.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended; without its channel it may live on."""
        return self.child.is_running

    @property
    def connected(self) -> bool:
        """Whether messages can be sent."""
        return self.channel.connected

    @property
    def is_responsive(self) -> bool:
        """False while it runs and does not answer its heartbeat; true where nobody asks."""
        return self.heartbeat is None or self.heartbeat.is_responsive

    @property
    def returncode(self) -> int | None:
        """See Child."""
        return self.child.returncode

    @property
    def status(self) -> ExitStatus:
        """How it has ended; nobody knows yet while it runs."""
        return status_of(self.child)

    @property
    def stdin(self) -> InputStream | None:
        """Where it is PIPE, else None."""
        return self.child.stdin

    @property
    def stdout(self) -> OutputStream[Any] | None:
        """Where it is PIPE, else None."""
        return self.child.stdout

    @property
    def stderr(self) -> OutputStream[Any] | None:
        """Where it is PIPE, else None."""
        return self.child.stderr

    @property
    def last_words(self) -> list[str]:
        """The last ten lines that it wrote on stderr, where they pass through this process."""
        return self._tail.lines()

    # -- messages: see Channel --------------------------------------------------------------------------------------

    async def send(self, message: Any, *, fds: Sequence[int] = ()) -> None:
        """See Channel.send. Raises WorkerLost, Disconnected, UsageError."""
        await self.channel.send(message, fds=fds)

    async def receive(self) -> Any:
        """The next message. Raises WorkerLost when the worker has ended, Disconnected where it lives on without."""
        return await self.channel.receive()

    def __aiter__(self) -> AsyncIterator[Any]:
        """Messages until the worker leaves. Raises WorkerLost where it ended with a signal or another code than 0."""
        return self.channel.__aiter__()

    def on(self, kind: str | type, handler: Callable[..., Any], *, with_call: bool = False) -> None:
        """See Channel.on."""
        self.channel.on(kind, handler, with_call=with_call)

    async def request(
        self,
        message: Any,
        *,
        timeout: float | None = REQUEST_TIMEOUT,  # noqa: ASYNC109 - the worker is told
        on_progress: Callable[[Any], object] | None = None,
        fds: Sequence[int] = (),
    ) -> Any:
        """What the worker's handler answers; see Channel.request. Raises WorkerLost too."""
        return await self.channel.request(message, timeout=timeout, on_progress=on_progress, fds=fds)

    async def call(self, kind: str, /, **fields: Any) -> Any:
        """request() for a message of this "type" with these fields: ``await worker.call("add", a=1, b=2)``."""
        return await self.channel.request({**fields, "type": kind})

    # -- ending it --------------------------------------------------------------------------------------------------

    async def disconnect(self) -> None:
        """Send what waits, and close the channel: most workers leave then. What was not received is dropped."""
        self._stop_heart()
        await self.channel.close()

    async def wait(self) -> ExitStatus:
        """How it ended; see Child.wait."""
        return await self.child.wait()

    async def stop(self, plan: StopPlan | None = None) -> Result[Any]:
        """Stop it and its tree; see Child.stop."""
        self._want_end("it was stopped")
        return await self.child.stop(plan)

    async def kill(self) -> Result[Any]:
        """SIGKILL to it and its tree; see Child.kill."""
        self._want_end("it was killed")
        return await self.child.kill()

    def _want_end(self, why: str) -> None:
        self._stop_heart()
        self.channel.blame = self.channel.blame or why
        self.channel.is_wanted = True

    async def leave(self, *, is_hurried: bool) -> None:
        """What the end of an ``async with`` block does: disconnect, a moment to leave by itself, then stop()."""
        self._stop_heart()
        try:
            if not is_hurried:
                await self.channel.close()
                async with asyncio.timeout(_LAST_STEPS):
                    await self.child.wait()
        except TimeoutError:
            pass
        finally:
            self.channel.abort()
            await self.child.leave(is_hurried=True)

    async def give_up(self) -> None:
        """What a start that fails does: stop it; who is cancelled meanwhile kills it."""
        self.channel.abort()
        try:
            await self.child.stop()
        except asyncio.CancelledError:
            await self.child.kill()
            raise

    # -- used by fork() ---------------------------------------------------------------------------------------------

    def say(self, what: str) -> None:
        """Tell whoever wants to know."""
        if self._on_change is None:
            return
        try:
            self._on_change(what, self)
        except Exception as error:
            context = {"message": "on_change of a worker failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def watch(self, heart: Heart, *, is_fatal: bool) -> None:
        """Begin with the heartbeat. is_fatal: whether a worker that is stuck is killed."""
        self.heartbeat = heart
        self._beating = asyncio.get_running_loop().create_task(self._beat(heart, is_fatal=is_fatal))

    async def _beat(self, heart: Heart, *, is_fatal: bool) -> None:
        try:
            await heart.beat(only_while_responsive=is_fatal)
            if not heart.is_responsive and not heart.has_ended:
                self.channel.blame = f"it did not answer for {heart.silent_for:.1f} s, and was killed"
                await self.child.kill()
        finally:
            heart.close()

    def _stop_heart(self) -> None:
        if self.heartbeat is not None:
            self.heartbeat.close()
        if self._beating is not None and self._beating is not asyncio.current_task():
            self._beating.cancel()

    def _closed(self) -> None:
        self._stop_heart()
        self.say("exited")
