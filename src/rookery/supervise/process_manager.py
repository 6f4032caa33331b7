"""ProcessManager: a registry of children, however they were started; it leaves nothing alive."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack

from rookery._base.clock import Clock, SystemClock
from rookery._os import kernel
from rookery.errors import NoChannel, ProcessEnded, SpawnError, UsageError, WorkerLost
from rookery.process.child import Child
from rookery.process.command import Command, arguments
from rookery.process.ending import together
from rookery.process.script import shell_command
from rookery.process.stdio import DISCARD
from rookery.supervise.process_events import EventStream, ProcessEvent
from rookery.supervise.process_ledger import Ledger
from rookery.supervise.process_record import Status
from rookery.worker.forking import fork
from rookery.worker.running import Worker

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from typing import Self

    from rookery.lifecycle.stop import StopPlan
    from rookery.process.events import ChildEvent
    from rookery.process.options import RunOptions
    from rookery.process.result import Result
    from rookery.supervise.process_record import Kind, ProcessRecord
    from rookery.worker.forking import Fork

P = TypeVar("P", Child[Any], Worker)
TIMEOUT = 30.0
MAX_OUTPUT = 1_000_000


@dataclass(frozen=True, slots=True)
class Managed(Generic[P]):
    """A process that was started through a manager. process: the Child or the Worker."""

    id: str
    record: ProcessRecord
    process: P


class ProcessManager:
    """Starts processes, knows them by id, and keeps a record of each. ``async with`` or close() ends all of them.

    timeout, max_output: what run() and shell() have where nothing else is said: 30 s and 1 MB. most_records: the oldest
    of the ended make room. The last 8 KB of each output are kept. Use it from one event loop.
    """

    def __init__(
        self,
        *,
        timeout: float | None = TIMEOUT,
        max_output: int | None = MAX_OUTPUT,
        most_records: int = 1000,
        clock: Clock | None = None,
    ) -> None:
        self._timeout = timeout
        self._max_output = max_output
        self._ledger = Ledger(most_records, clock or SystemClock())
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop everything; nothing can be started any more. Cancelled: it is hurried, and finished all the same."""
        self._is_closed = True
        while self._ledger.alive:
            # Looked up now: one that ends in this very turn of the loop is gone when its own turn comes.
            alive = dict(self._ledger.alive)
            await together(
                alive.values(), [self._leave(child, self._ledger.workers.get(id)) for id, child in alive.items()]
            )

    # -- starting ---------------------------------------------------------------------------------------------------

    async def run(self, program: str, *args: object, id: str = "", **options: Any) -> Result[Any]:
        """rookery.run() under an id."""
        whole = {**self._limits(), **options}
        return await self._run("run", Command(arguments(program, args), whole), whole, id)

    async def shell(
        self,
        script: str,
        values: Mapping[str, object] | None = None,
        *,
        shell: str = "/bin/sh",
        id: str = "",
        **options: Any,
    ) -> Result[Any]:
        """rookery.shell() under an id."""
        whole = {**self._limits(), **options}
        return await self._run("shell", shell_command(script, values, shell, whole), whole, id)

    async def spawn(
        self,
        program: str,
        *args: object,
        id: str = "",
        encoding: str | None = "utf-8",
        **options: Unpack[RunOptions],
    ) -> Managed[Child[Any]]:
        """rookery.spawn(), started, under an id. Raises SpawnError."""
        whole: dict[str, Any] = {**options, "encoding": encoding}
        argv = arguments(program, args)
        Command[Any](argv, whole)  # raises where an option is wrong; then there is nothing to record
        record = self._add("spawn", shlex.join(argv), id)
        command: Command[Any] = Command(argv, self._ledger.watched(record, whole))
        try:
            child = command.start()
        except BaseException as error:
            self._ledger.failed(record, error)
            raise
        return Managed(record.id, record, child)

    async def fork(
        self,
        target: str | os.PathLike[str],
        *,
        id: str = "",
        **options: Any,
    ) -> Managed[Worker]:
        """rookery.fork(), started and ready, under an id. Its output is kept in the record where nothing else is said.

        Raises SpawnError, NotReady, UsageError.
        """
        record: ProcessRecord | None = None
        seen = options.pop("on_message", None)

        def message(way: str, value: Any) -> None:
            if record is not None:
                self._ledger.message(record, way, value)
            if seen is not None:
                seen(way, value)

        if not options.get("pty"):
            options = {"stdout": _nowhere, "stderr": DISCARD, **options}
        events = _Events()
        try:
            described: Fork = fork(target, on_message=message, on_event=events, **_without(options, "on_event"))
        except SpawnError as error:  # there is no such file
            self._ledger.failed(self._add("fork", shlex.join(error.argv), id), error)
            raise
        record = self._add("fork", shlex.join(described.argv), id)
        events.call = self._ledger.watched(record, options)["on_event"]
        try:
            worker = await described
        except BaseException as error:
            self._ledger.failed(record, error)
            raise
        self._ledger.is_ready(record, worker)
        return Managed(record.id, record, worker)

    # -- knowing ----------------------------------------------------------------------------------------------------

    def get(self, id: str) -> ProcessRecord:
        """The record. Raises UnknownProcess."""
        return self._ledger.registry.get(id)

    def list(self) -> tuple[ProcessRecord, ...]:
        """All records, in the order of their start."""
        return tuple(self._ledger.registry)

    def running(self) -> tuple[ProcessRecord, ...]:
        """Those of processes that have not ended."""
        return tuple(record for record in self._ledger.registry if not record.is_over)

    def cleanup(self) -> tuple[ProcessRecord, ...]:
        """Forget those that have ended; which."""
        return tuple(self._ledger.registry.remove_ended())

    def subscribe(self, call: Callable[[ProcessEvent], object]) -> Callable[[], None]:
        """Have each event told, in the event loop; what is returned ends that."""
        return self._ledger.listeners.add(call)

    def events(self) -> EventStream:
        """The events from now on; see EventStream."""
        return EventStream(self.subscribe)

    # -- talking ----------------------------------------------------------------------------------------------------

    async def send(self, id: str, message: Any) -> None:
        """Send to a worker. Raises UnknownProcess, NoChannel (not forked), ProcessEnded, Disconnected, UsageError."""
        worker = self._worker(id)
        try:
            await worker.send(message)
        except WorkerLost as error:
            raise ProcessEnded(id, error.why) from error

    async def request(self, id: str, message: Any, *, timeout: float | None = TIMEOUT) -> Any:  # noqa: ASYNC109
        """A worker's answer; see Channel.request. Raises what send() raises, RemoteError and ChannelTimeout."""
        worker = self._worker(id)
        try:
            return await worker.request(message, timeout=timeout)
        except WorkerLost as error:
            raise ProcessEnded(id, error.why) from error

    def signal(self, id: str, number: int) -> None:
        """Signal a process of ours, not its tree. Raises UnknownProcess, ProcessEnded."""
        record = self.get(id)
        child = self._ledger.alive.get(id)
        if child is None or not child.signal(number):
            raise ProcessEnded(id, record.explain())

    @staticmethod
    def signal_pid(pid: int, number: int, *, start_time: int | None = None) -> None:
        """Signal any process, surely that one: start_time as process information tells it, or whoever has the pid now.

        Raises ProcessEnded where it has gone or the pid is another's now, UsageError, PermissionError.
        """
        if pid <= 0:
            raise UsageError(f"{pid} is no process", hint="a group is signalled by the shell's kill")
        started = kernel.start_time(pid)
        if started is None or not kernel.is_alive(pid, started):
            raise ProcessEnded(str(pid), "there is no such process")
        if start_time is not None and started != start_time:
            raise ProcessEnded(str(pid), "its pid belongs to another process now")
        if not kernel.signal_process(pid, started, number):
            raise ProcessEnded(str(pid), "it went in this moment")

    # -- ending -----------------------------------------------------------------------------------------------------

    async def terminate(self, id: str, plan: StopPlan | None = None) -> ProcessRecord:
        """Stop one and its tree, see Child.stop; its record. Nothing where it has ended. Raises UnknownProcess."""
        record = self.get(id)
        child = self._ledger.alive.get(id)
        if child is not None:
            worker = self._ledger.workers.get(id)
            await (child.stop(plan) if worker is None else worker.stop(plan))
        return record

    async def terminate_all(self, plan: StopPlan | None = None) -> tuple[ProcessRecord, ...]:
        """Stop all that run now, at once; their records."""
        alive = dict(self._ledger.alive)
        return tuple(await together(alive.values(), [self.terminate(id, plan) for id in alive]))

    # -- inside -----------------------------------------------------------------------------------------------------

    def _limits(self) -> dict[str, Any]:
        return {"timeout": self._timeout, "max_output": self._max_output}

    async def _run(
        self,
        kind: Kind,
        command: Command[Any],
        options: dict[str, Any],
        id: str,
    ) -> Result[Any]:
        command.check_run()
        record = self._add(kind, command.shown or shlex.join(command.argv), id)
        watched: Command[Any] = Command(command.argv, self._ledger.watched(record, options), shown=command.shown)
        try:
            result: Result[Any] = await watched.run()
        except BaseException as error:
            if record.status is Status.STARTING:
                self._ledger.failed(record, error)
            raise
        return result

    def _add(self, kind: Kind, command: str, id: str) -> ProcessRecord:
        if self._is_closed:
            raise UsageError("this manager is closed", hint="make another one")
        return self._ledger.open(kind, command, id)

    def _worker(self, id: str) -> Worker:
        record = self.get(id)
        if record.kind != "fork":
            raise NoChannel(id, record.kind)
        worker = self._ledger.workers.get(id)
        if record.is_over:
            raise ProcessEnded(id, record.explain())
        if worker is None:
            raise UsageError(f"process {id!r} is not ready yet", hint="await the fork() that starts it")
        return worker

    @staticmethod
    async def _leave(child: Child[Any], worker: Worker | None) -> None:
        await (child.leave(is_hurried=True) if worker is None else worker.leave(is_hurried=True))


class _Events:
    """A place for an on_event that is known later."""

    call: Callable[[ChildEvent], object] | None = None

    def __call__(self, event: ChildEvent) -> None:
        if self.call is not None:
            self.call(event)


def _nowhere(_: bytes) -> None:
    """The output of a worker is read, for its record keeps the last of it."""


def _without(options: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != name}
