"""fork(): a child with a message channel, described and not started yet."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Unpack

from rookery._base.framing import MAX_FRAME
from rookery.errors import LinkError, NotReady, UsageError
from rookery.ipc.codecs import codec_named
from rookery.process.command import Command, argument
from rookery.process.stdio import INHERIT
from rookery.worker import words
from rookery.worker.child_channel import ChildChannel
from rookery.worker.heartbeat import Heart, health_of, limit_of
from rookery.worker.running import Worker
from rookery.worker.seen import SeenCodec
from rookery.worker.tail import Tail, with_tail
from rookery.worker.targets import search_path, target_of
from rookery.worker.wires import Wires

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterable
    from types import TracebackType

    from rookery.ipc.codecs import Codec
    from rookery.ipc.hub_member import Health
    from rookery.process.child import Child
    from rookery.process.events import ChildEvent
    from rookery.process.options import RunOptions
    from rookery.worker.heartbeat import OnUnresponsive
    from rookery.worker.targets import Target

READY_TIMEOUT = 10.0


class Fork:
    """A worker that is described and not started yet; see fork()."""

    def __init__(
        self,
        target: Target,
        options: dict[str, Any],
        *,
        data: Any = None,
        codec: str | Codec | None = None,
        max_message: int = MAX_FRAME,
        ready: bool | str | None = None,
        ready_timeout: float = READY_TIMEOUT,
        heartbeat: float | Health | None = None,
        on_unresponsive: OnUnresponsive = "kill",
        exit_on_disconnect: bool = True,
        on_change: Callable[[str, Worker], object] | None = None,
        on_message: Callable[[str, Any], object] | None = None,
    ) -> None:
        self.target = target
        named = codec if codec is None or isinstance(codec, str) else codec.name
        if target.kind == "node" and named not in (None, "node"):
            raise UsageError("a Node script speaks its own codec", hint="leave codec out")
        self._is_node = target.kind == "node" or named == "node"
        self._codec = codec_named(codec or ("node" if self._is_node else "msgpack"))
        if on_message is not None:
            self._codec = SeenCodec(self._codec, on_message)
        if ready_timeout <= 0:
            raise UsageError(f"ready_timeout is to be more than 0, not {ready_timeout!r}")
        if heartbeat is not None and self._is_node:
            raise UsageError("a Node script answers no heartbeat", hint="ask it something of your own")
        self._ready = (not self._is_node) if ready is None else ready
        if self._ready is True and self._is_node:
            raise UsageError(
                "a Node script does not say that it is ready by itself", hint="name its word: ready='ready'"
            )
        self._data = data
        self._max_message = max_message
        self._ready_timeout = ready_timeout
        self._health = health_of(heartbeat)
        if on_unresponsive not in ("kill", "report"):
            raise UsageError(f"on_unresponsive is 'kill' or 'report', not {on_unresponsive!r:.40}")
        self._is_fatal = on_unresponsive == "kill"
        self._exits = exit_on_disconnect
        self._on_change = on_change
        self._tail = Tail()
        self._channel: ChildChannel | None = None
        self._on_event: Callable[[ChildEvent], object] | None = options.get("on_event")
        self._wired = self._with_ours(options)
        self._command: Command[Any] = Command(target.argv, self._wired)
        self._entered: Worker | None = None
        self._is_started = False

    def __repr__(self) -> str:
        return f"<Fork {self.target.name}>"

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line."""
        return self.target.argv

    def __await__(self) -> Generator[Any, None, Worker]:
        return self._open().__await__()

    async def __aenter__(self) -> Worker:
        self._entered = await self._open()
        return self._entered

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        worker, self._entered = self._entered, None
        if worker is not None:
            await worker.leave(is_hurried=kind is not None)

    def _with_ours(self, options: dict[str, Any]) -> dict[str, Any]:
        wired = {**options, "on_event": self._event}
        if not options.get("pty"):
            wired["stdout"] = options.get("stdout") or INHERIT
            wired["stderr"] = with_tail(options.get("stderr"), self._tail)
        return wired

    def _event(self, event: ChildEvent) -> None:
        if event.kind == "exited" and self._channel is not None:
            self._channel.child_exited()
        if self._on_event is not None:
            self._on_event(event)

    # -- starting ---------------------------------------------------------------------------------------------------

    async def _open(self) -> Worker:
        """Start it, and wait until it is ready; who is cancelled here leaves nothing behind."""
        if self._is_started:
            raise UsageError("this worker has been started already", hint="describe it anew for each start")
        self._is_started = True
        channel, child, heartbeat = self._launch()
        worker = Worker(self.target.name, child, channel, self._tail, on_change=self._on_change)
        try:
            await self._greet(worker)
        except BaseException:
            if heartbeat is not None:
                heartbeat.close()
            await worker.give_up()
            raise
        if self._health is not None and heartbeat is not None:
            heart = Heart(heartbeat, self._health, worker.say, is_expected=self._ready is not False)
            worker.watch(heart, is_fatal=self._is_fatal)
        worker.say("ready")
        return worker

    def _launch(self) -> tuple[ChildChannel, Child[Any], socket.socket | None]:
        """There is no await in here, so nothing can come between start and ownership."""
        ours, theirs = socket.socketpair()
        wires = Wires(self._command.options.fds)  # those are the child's own numbers
        channel = ChildChannel(ours, codec=self._codec, max_message=self._max_message, name=self.target.name)
        heartbeat: socket.socket | None = None
        try:
            variables = self._variables(wires.add(theirs))
            if self._health is not None:
                heartbeat, answers = socket.socketpair()
                variables |= {
                    words.HEARTBEAT_FD: str(wires.add(answers)),
                    words.HEARTBEAT_LIMIT: f"{limit_of(self._health):.3f}",
                }
            fds = {**self._command.options.fds, **wires.fds}
            env = {**(self._command.options.env or {}), **variables}
            child = Command[Any](self.target.argv, {**self._wired, "fds": fds, "env": env}).start()
        except BaseException:
            channel.abort()
            if heartbeat is not None:
                heartbeat.close()
            raise
        finally:
            wires.close()
        self._channel = channel
        channel.belongs_to(child, self._tail)
        return channel, child, heartbeat

    def _variables(self, fd: int) -> dict[str, str | None]:
        found: dict[str, str | None] = dict.fromkeys(words.ALL)
        if self._is_node:
            return {**found, words.NODE_FD: str(fd), words.NODE_MODE: "json"}
        found |= {words.FD: str(fd), words.CODEC: self._codec.name, words.MAX_MESSAGE: str(self._max_message)}
        if self.target.kind == "function":
            found[words.PATH] = search_path()
        return found

    async def _greet(self, worker: Worker) -> None:
        channel = worker.channel
        try:
            async with asyncio.timeout(self._ready_timeout):
                if not self._is_node:
                    if self._ready is not True:
                        channel.on(words.READY, _pass_over)
                    await channel.send(words.welcome(self._data, exit_on_disconnect=self._exits))
                if self._ready is not False:
                    await channel.wait_for(self._is_ready)
                if self._is_node and self._data is not None:
                    await channel.send(self._data)
        except TimeoutError:
            hint = "call rookery.worker.channel() or connect() in it; fork(..., ready=False) does not wait"
            if isinstance(self._ready, str):
                hint = f"it has to send {self._ready!r}, or a message of that type"
            why = f"it was not ready within {self._ready_timeout:g} s"
            raise self._not_ready(why, worker, hint) from None
        except LinkError as error:
            how = error.what
            if not worker.is_running:
                how = f"it {worker.status} before it was ready"
            raise self._not_ready(how, worker) from error

    def _is_ready(self, message: Any) -> bool:
        if isinstance(self._ready, str):
            return words.is_word(message, self._ready)
        return words.is_ready(message)

    def _not_ready(self, why: str, worker: Worker, hint: str = "") -> NotReady:
        lines = worker.last_words
        return NotReady(
            "\n  ".join([why, *lines]),
            argv=(self.target.name,),
            returncode=worker.returncode,
            stderr="\n".join(lines),
            hint=hint,
        )


def _pass_over(_: Any) -> None:
    """Somebody else's word is waited for, or none."""


def fork(
    target: str | os.PathLike[str],
    *,
    args: Iterable[object] = (),
    data: Any = None,
    interpreter: str | os.PathLike[str] | None = None,
    interpreter_args: Iterable[object] = (),
    codec: str | Codec | None = None,
    max_message: int = MAX_FRAME,
    ready: bool | str | None = None,
    ready_timeout: float = READY_TIMEOUT,
    heartbeat: float | Health | None = None,
    on_unresponsive: OnUnresponsive = "kill",
    exit_on_disconnect: bool = True,
    on_change: Callable[[str, Worker], object] | None = None,
    on_message: Callable[[str, Any], object] | None = None,
    encoding: str | None = "utf-8",
    **options: Unpack[RunOptions],
) -> Fork:
    """Describe a child with a message channel, to be started by ``async with`` or ``await``.

    target: a Python file, ``package.module:function`` or a Node script (process.send, process.on('message')); they run
    in this Python and in node, or in interpreter. data: what the worker starts with; a Node script gets it as its first
    message. Starting waits ready_timeout seconds until a Python worker has opened its channel, or a message that is (or
    has the type) ``ready`` has come; False does not wait. heartbeat: seconds, or a Health; who misses three is killed,
    or reported only (on_unresponsive="report"). on_change(what, worker): "ready", "disconnected", "heartbeat_missed",
    "unresponsive", "responsive", "exited".
    on_message("sent" or "received", message) sees everything, in the event loop.
    Other options: as spawn(), but outputs are inherited. Raises UsageError; starting it SpawnError and NotReady, and
    nothing is left then.
    """
    found = target_of(
        target,
        args=[argument(arg) for arg in args],
        interpreter=interpreter,
        interpreter_args=[argument(arg) for arg in interpreter_args],
        cwd=options.get("cwd"),
    )
    return Fork(
        found,
        {**options, "encoding": encoding},
        data=data,
        codec=codec,
        max_message=max_message,
        ready=ready,
        ready_timeout=ready_timeout,
        heartbeat=heartbeat,
        on_unresponsive=on_unresponsive,
        exit_on_disconnect=exit_on_disconnect,
        on_change=on_change,
        on_message=on_message,
    )
