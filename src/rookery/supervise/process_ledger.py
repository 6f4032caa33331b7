"""Who lives, and what is written down of everybody: the bookkeeping of a ProcessManager."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rookery.errors import SpawnError
from rookery.supervise.process_events import Listeners, ProcessEvent
from rookery.supervise.process_record import Kind, ProcessRecord, Status
from rookery.supervise.process_registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery._base.clock import Clock
    from rookery.process.child import Child
    from rookery.process.events import ChildEvent
    from rookery.process.result import Result
    from rookery.worker.running import Worker


class Ledger:
    """alive: the children that have not ended, by id, from their start on; workers: those of them that are ready."""

    def __init__(self, most_records: int, clock: Clock) -> None:
        self.registry = Registry(most_records, lambda record: self._tell(record, "removed"))
        self.listeners = Listeners()
        self.alive: dict[str, Child[Any]] = {}
        self.workers: dict[str, Worker] = {}
        self._clock = clock

    def open(self, kind: Kind, command: str, id: str) -> ProcessRecord:
        """A record for what is about to be started. Raises UsageError where the id is taken."""
        record = self.registry.add(kind, command, self._clock.wall(), id=id)
        self._tell(record, "starting")
        return record

    def watched(self, record: ProcessRecord, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a child, with an on_event that keeps the record before it calls theirs."""
        theirs = options.get("on_event")

        def on_event(event: ChildEvent) -> None:
            self._happened(record, event)
            if theirs is not None:
                theirs(event)

        return {**options, "on_event": on_event}

    def message(self, record: ProcessRecord, way: str, message: Any) -> None:
        """One has passed."""
        self._tell(record, "message", message=record.message(way, message, self._clock.wall()))

    def failed(self, record: ProcessRecord, error: BaseException) -> None:
        """It could not be started."""
        why = error.why if isinstance(error, SpawnError) else str(error) or type(error).__name__
        if isinstance(error, asyncio.CancelledError):
            why = "it was cancelled while it started"
        record.failed(why, self._clock.wall())
        self._tell(record, "failed-to-start")

    def is_ready(self, record: ProcessRecord, worker: Worker) -> None:
        """A worker has said that it can begin; it may have ended since."""
        self._running(record)
        if worker.is_running:
            self.workers[record.id] = worker
            return
        record.exited(worker.status, self._clock.wall())
        if record.id not in self.alive:
            self._closed(record, worker.child.outcome(check=False))

    def _happened(self, record: ProcessRecord, event: ChildEvent) -> None:
        if event.kind == "output":
            tail = record.stdout if event.stream == "stdout" else record.stderr
            tail.take(event.data)
            self._tell(record, "output", stream=event.stream or "", data=event.data)
        elif event.kind == "started":
            record.pid = event.child.pid
            self.alive[record.id] = event.child
            if record.kind != "fork":
                self._running(record)
        elif event.kind == "exited" and event.status is not None:
            record.exited(event.status, self._clock.wall())
        elif event.kind == "closed" and event.result is not None:
            self.alive.pop(record.id, None)
            self.workers.pop(record.id, None)
            if record.status is not Status.STARTING:
                self._closed(record, event.result)

    def _running(self, record: ProcessRecord) -> None:
        record.running()
        self._tell(record, "running")

    def _closed(self, record: ProcessRecord, result: Result[Any]) -> None:
        record.closed(result)
        self._tell(record, str(record.status))

    def _tell(self, record: ProcessRecord, what: Any, **facts: Any) -> None:
        self.listeners.tell(ProcessEvent(what, record, **facts))
