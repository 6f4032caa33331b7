"""What is known of one process of a ProcessManager: pure, it is told what happens."""

from __future__ import annotations

import reprlib
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from rookery.errors import ImpossibleTransition
from rookery.worker.tail import Tail

if TYPE_CHECKING:
    from rookery.lifecycle.exit import ExitStatus
    from rookery.process.result import Result

Kind = Literal["run", "shell", "spawn", "fork"]
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxdict = _SHORT.maxlist = 10


class Status(StrEnum):
    """Of a process: it becomes running, or has failed to start; then exited (by itself) or killed (a signal, or us)."""

    STARTING = "starting"
    RUNNING = "running"
    EXITED = "exited"
    FAILED_TO_START = "failed-to-start"
    KILLED = "killed"

    @property
    def is_over(self) -> bool:
        """Whether there is no process any more."""
        return self not in (Status.STARTING, Status.RUNNING)


_NEXT = {
    Status.STARTING: {Status.RUNNING, Status.FAILED_TO_START, Status.EXITED, Status.KILLED},
    Status.RUNNING: {Status.EXITED, Status.KILLED},
    Status.EXITED: {Status.KILLED},  # it left, and then shows that we had asked it to
}


@dataclass(frozen=True, slots=True)
class SeenMessage:
    """way: "sent" or "received"; text: the message, cut to some hundred characters; at: seconds since 1970."""

    way: str
    text: str
    at: float


@dataclass(eq=False)
class ProcessRecord:
    """One process: what it is, how it goes or went, and the last of what it wrote and said.

    command: as a shell would take it; started_at, ended_at: seconds since 1970; exit_code or signal (its name) once it
    has ended; reason: why it failed to start or was killed, or "".
    """

    id: str
    kind: Kind
    command: str
    started_at: float
    pid: int | None = None
    status: Status = Status.STARTING
    ended_at: float | None = None
    exit_code: int | None = None
    signal: str | None = None
    reason: str = ""
    sent: int = 0
    received: int = 0
    messages: deque[SeenMessage] = field(default_factory=lambda: deque(maxlen=100))
    stdout: Tail = field(default_factory=Tail, repr=False)
    stderr: Tail = field(default_factory=Tail, repr=False)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or never began."""
        return self.status.is_over

    def explain(self) -> str:
        """In words how it is or went."""
        if self.status is Status.FAILED_TO_START:
            return f"it failed to start: {self.reason}"
        if not self.is_over:
            return f"it is {self.status}"
        how = f"killed by {self.signal}" if self.signal else f"exited with code {self.exit_code}"
        return f"{how} ({self.reason})" if self.reason else how

    def running(self) -> None:
        """It has begun."""
        self._become(Status.RUNNING)

    def failed(self, reason: str, now: float) -> None:
        """It could not be started."""
        self._become(Status.FAILED_TO_START)
        self.reason, self.ended_at = reason, now

    def exited(self, status: ExitStatus, now: float) -> None:
        """The process has ended."""
        self.ended_at = now
        self.exit_code, self.signal = status.code, status.signal_name
        if self.status is Status.RUNNING:
            self._become(Status.KILLED if status.signal is not None else Status.EXITED)

    def closed(self, result: Result[Any]) -> None:
        """All of it has ended; whether that was by our wish is known now."""
        why = ""
        if result.timed_out is not None:
            why = "its time was over" if result.timed_out == "timeout" else "it was silent for too long"
        elif result.truncated and result.limit is not None:
            why = "it wrote too much"
        elif result.cancelled:
            why = "it was stopped"
        if why and self.status is not Status.FAILED_TO_START:
            self.reason = why
            if self.status is not Status.KILLED:
                self._become(Status.KILLED)

    def message(self, way: str, message: Any, now: float) -> SeenMessage:
        """One has passed."""
        seen = SeenMessage(way, _SHORT.repr(message), now)
        self.messages.append(seen)
        if way == "sent":
            self.sent += 1
        else:
            self.received += 1
        return seen

    def facts(self) -> dict[str, Any]:
        """All of it as plain values, fit for JSON."""
        names = ("id", "kind", "command", "pid", "started_at", "ended_at", "exit_code", "signal", "reason")
        return {
            **{name: getattr(self, name) for name in names},
            "status": str(self.status),
            "sent": self.sent,
            "received": self.received,
            "messages": [{"way": one.way, "text": one.text, "at": one.at} for one in self.messages],
            "stdout": self.stdout.text,
            "stderr": self.stderr.text,
        }

    def _become(self, status: Status) -> None:
        if status not in _NEXT.get(self.status, ()):
            raise ImpossibleTransition(str(self.status), str(status))
        self.status = status
