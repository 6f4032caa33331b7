"""Serving tasks in a script that blocks: one message after the other. Imports no asyncio."""

from __future__ import annotations

import os
import select
import signal
import time
import traceback
from typing import TYPE_CHECKING, Any, Self

from rookery.errors import ChannelTimeout, Disconnected, LinkError, RookeryError
from rookery.pool.processes import here
from rookery.pool.scripts import words
from rookery.worker import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from rookery.worker.here_sync import SyncWorkerChannel

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Serving:
    """What the two ways of serving have in common. number: of the task at work, or 0."""

    def __init__(
        self, handlers: Mapping[str, Callable[[Any], Any]], status: Callable[[], Mapping[str, Any]] | None
    ) -> None:
        self.handlers = handlers
        self.number = 0
        self.leaves = False
        self._status = status
        self._tasks = 0
        self._errors = 0
        self._began = time.monotonic()
        here.serving = self

    def say(self, message: Mapping[str, Any]) -> None:
        """Send it to the pool."""
        raise NotImplementedError

    def report(self, value: Any) -> None:
        """See report_progress."""
        if self.number:
            self.say({"type": words.PROGRESS, "id": self.number, "value": value})

    def done(self, number: int, result: Any) -> None:
        """A task has this result."""
        try:
            self.say({"type": words.RESULT, "id": number, "result": result})
        except LinkError:
            raise
        except RookeryError as error:  # it cannot be encoded, or is too large
            self.failed(number, error, "ResultNotSent")
        else:
            self._tasks += 1
            self.number = 0

    def failed(self, number: int, error: BaseException, name: str = "") -> None:
        """A task has raised this."""
        self._tasks += 1
        self._errors += 1
        told = {"name": name or type(error).__name__, "message": str(error), "stack": _stack(error)}
        self.say({"type": words.ERROR, "id": number, "error": told})
        self.number = 0

    def handler(self, name: Any) -> Callable[[Any], Any]:
        """Who does the tasks of that name. Raises LookupError."""
        found = self.handlers.get(name) if isinstance(name, str) else None
        if found is None:
            raise LookupError(f"this worker has no task {name!r}; it has {', '.join(sorted(self.handlers)) or 'none'}")
        return found

    def tell_status(self, number: int) -> None:
        """Answer a status request."""
        facts: dict[str, Any] = {
            "pid": os.getpid(),
            "tasks": self._tasks,
            "errors": self._errors,
            "uptime": time.monotonic() - self._began,
        }
        if self._status is not None:
            facts |= self._status()
        self.say({**facts, "type": words.STATUS, "id": number})


class BlockingServing(Serving):
    """Asked how it is in the middle of a task, it says so after it."""

    _parent: SyncWorkerChannel

    def say(self, message: Mapping[str, Any]) -> None:
        """See Serving."""
        self._parent.send(message)

    def serve(self) -> None:
        """Until the pool says so, or has gone."""
        with connect() as self._parent, _Wakes() as wakes:
            signal.signal(signal.SIGTERM, self._leave)
            self.say({"type": words.READY})
            while not self.leaves:
                try:
                    message = self._parent.receive(timeout=0)
                except ChannelTimeout:
                    wakes.wait(self._parent.fileno())
                except Disconnected:
                    return
                else:
                    self._take(message)

    def _take(self, message: Any) -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == words.TASK:
            self._do(message)
        elif kind == words.STATUS:
            self.tell_status(message["id"])
        elif kind == words.STOP:
            self.leaves = True

    def _do(self, message: Mapping[str, Any]) -> None:
        number = self.number = message["id"]
        try:
            result = self.handler(message.get("name"))(message.get("data"))
        except BaseException as error:  # it is the task's, and goes to who asked for it
            self.failed(number, error)
        else:
            self.done(number, result)

    def _leave(self, _signal: int, _frame: FrameType | None) -> None:
        """Asked to end: after the task at work. Raised here, an exception could lose one that was just received."""
        self.leaves = True


class _Wakes:
    """Waiting that a signal ends, also one that came the moment before."""

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._before)
        os.close(self._read)
        os.close(self._write)

    def wait(self, fd: int) -> None:
        """Until fd can be read, or a signal has come."""
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.register(self._read, select.POLLIN)
        if any(number == self._read for number, _ in poll.poll()):
            os.read(self._read, 4096)


def _stack(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))
