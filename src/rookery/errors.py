"""The error tree.

RookeryError
├── UsageError                  the call or the command line is wrong
│   ├── ConfigError             a configuration file or an option is wrong (file, line, key)
│   ├── UnknownProcess          the registry has no process of that id
│   └── NoChannel               that process takes no messages
├── SpawnError                  a process could not be started; nothing of it is left behind
│   ├── CommandNotFound         no such program (near: similar names on PATH)
│   ├── CommandNotExecutable    the program may not be executed
│   ├── DirectoryMissing        the working directory is not there
│   ├── UserUnknown             no such user or group
│   ├── ResourcesExhausted      no more processes, memory or files
│   └── NotReady                a worker did not say in time that it can begin, or ended before it did
├── ProcessFailed               a command ended otherwise than wanted (result: everything about it)
│   ├── TimedOut                it was stopped because its time was over, or because it was silent for too long
│   └── OutputLimit             it was stopped because it wrote too much
├── ProcessEnded                that process has ended already
├── ProcessNotFound             there is no process with this pid
├── ImpossibleTransition        a state table was asked for a step that it does not have
├── StopFailed                  a process outlived SIGKILL for too long
├── LinkError                   a connection between two processes of ours broke
│   ├── FrameError              a frame is malformed or too large
│   ├── StaleLease              another manager has taken over
│   ├── Disconnected            the other side of a channel went away, or the channel was closed
│   │   ├── WorkerLost          ... because the worker has ended (how, and its last words)
│   │   └── ParentGone          ... because the parent has gone; ends the worker with 0 where nobody takes it
│   ├── InputClosed             a child does not read its stdin any more
│   └── NotTrusted              the other side is not who it should be (secret, user)
├── ChannelTimeout              no message or answer came in time; the channel lives on
├── RemoteError                 the other side failed at a request (its traceback)
├── SharedMemoryError           shared memory could not be made, found or used
├── FileDamaged                 a file of state cannot be read; a copy is kept
├── LockTimeout                 a lock between processes was not free in time
└── ControlError                a request to the manager was not fulfilled
    ├── NoManager               no manager runs and none was to be started
    ├── NothingMatched          no app matched the selector
    ├── OperationFailed         the manager tried and failed
    └── WaitExpired             the wait's limit passed; the work goes on

Every error carries its facts as fields and builds its text from them. ``hint`` is what to try, or "".
Plain classes on purpose: this module is imported by the keeper and by the command line's fast path.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rookery.process.pipeline import PipelineResult
    from rookery.process.result import Result

__all__ = [
    "ChannelTimeout",
    "CommandNotExecutable",
    "CommandNotFound",
    "ConfigError",
    "ControlError",
    "DirectoryMissing",
    "Disconnected",
    "FileDamaged",
    "FrameError",
    "ImpossibleTransition",
    "InputClosed",
    "LinkError",
    "LockTimeout",
    "NoChannel",
    "NoManager",
    "NotReady",
    "NotTrusted",
    "NothingMatched",
    "OperationFailed",
    "OutputLimit",
    "ParentGone",
    "ProcessEnded",
    "ProcessFailed",
    "ProcessNotFound",
    "RemoteError",
    "ResourcesExhausted",
    "RookeryError",
    "SharedMemoryError",
    "SpawnError",
    "StaleLease",
    "StopFailed",
    "TimedOut",
    "UnknownProcess",
    "UsageError",
    "UserUnknown",
    "WaitExpired",
    "WorkerLost",
]


class RookeryError(Exception):
    """Base of all errors of rookery.

    what: one sentence that says what happened; why: the cause, or ""; hint: what to try, or "".
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what


class UsageError(RookeryError):
    """The call or the command line is wrong; nothing was done."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration is wrong; nothing was started.

    file: its path or "" (an option); key: dotted path such as ``apps.web.cwd`` or ""; line: from 1, or None.
    """

    def __init__(self, problem: str, *, file: str = "", key: str = "", line: int | None = None, hint: str = "") -> None:
        self.problem = problem
        self.file = file
        self.key = key
        self.line = line
        place = file if line is None else f"{file}:{line}"
        super().__init__(": ".join(part for part in (place, key, problem) if part), hint=hint)


class UnknownProcess(UsageError):
    """The registry has no process of that id, or has forgotten it."""

    def __init__(self, id: str, *, hint: str = "") -> None:  # noqa: A002 - the word of the registry
        self.id = id
        super().__init__(f"there is no process {id!r}", hint=hint)


class NoChannel(UsageError):
    """That process takes no messages: it was not started by fork()."""

    def __init__(self, id: str, kind: str) -> None:  # noqa: A002
        self.id = id
        super().__init__(
            f"process {id!r} takes no messages", why=f"it was started by {kind}()", hint="start it by fork()"
        )


class ProcessEnded(RookeryError):
    """That process has ended already. how: in words."""

    def __init__(self, id: str, how: str) -> None:  # noqa: A002
        self.id = id
        self.how = how
        super().__init__(f"process {id!r} has ended", why=how)


class SpawnError(RookeryError):
    """A process could not be started; nothing of it is left behind.

    argv: the command; cwd: its working directory or None; errno: the system's error number or 0.
    """

    def __init__(
        self,
        why: str,
        *,
        argv: Sequence[str] = (),
        cwd: str | None = None,
        errno: int = 0,
        hint: str = "",
    ) -> None:
        self.argv = tuple(argv)
        self.cwd = cwd
        self.errno = errno
        program = self.argv[0] if self.argv else "?"
        super().__init__(f"could not start {program!r}", why=why, hint=hint)


class CommandNotFound(SpawnError):
    """No such program. near: names on PATH that look like it."""

    def __init__(self, argv: Sequence[str], *, near: Sequence[str] = (), cwd: str | None = None) -> None:
        self.near = tuple(near)
        hint = f"did you mean {' or '.join(self.near)}?" if self.near else "check the name, or give its full path"
        super().__init__("no such command", argv=argv, cwd=cwd, errno=2, hint=hint)


class CommandNotExecutable(SpawnError):
    """The program is there but may not be executed (mode, mount, format or a folder above it)."""


class DirectoryMissing(SpawnError):
    """The working directory is missing, is no directory, or may not be entered."""


class UserUnknown(SpawnError):
    """No such user or group, or no right to become it."""


class ResourcesExhausted(SpawnError):
    """The system gave no more processes, memory or open files."""


class NotReady(SpawnError):
    """A worker did not say in time that it can begin, or ended before it did; nothing of it is left behind.

    returncode: how it ended by itself, negative for a signal, or None; stderr: its last lines.
    """

    def __init__(
        self, why: str, *, argv: Sequence[str] = (), returncode: int | None = None, stderr: str = "", hint: str = ""
    ) -> None:
        self.returncode = returncode
        self.stderr = stderr
        super().__init__(why, argv=argv, hint=hint)


class ProcessFailed(RookeryError):
    """A command ended otherwise than wanted. result: everything about it, its output so far too."""

    def __init__(self, result: Result[Any] | PipelineResult[Any]) -> None:
        self.result = result
        super().__init__(f"command failed: {result.escaped_command}", why=result.explain())

    def __reduce__(self) -> tuple[type[ProcessFailed], tuple[Result[Any] | PipelineResult[Any]]]:
        return type(self), (self.result,)


class TimedOut(ProcessFailed):
    """It was stopped because its time was over, or because it wrote nothing for too long."""


class OutputLimit(ProcessFailed):
    """It was stopped because it wrote more than max_output; what it wrote until then is in the result."""


class ProcessNotFound(RookeryError):
    """There is no process with this pid."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        super().__init__(f"there is no process {pid}")

    def __reduce__(self) -> tuple[type[ProcessNotFound], tuple[int]]:
        return type(self), (self.pid,)


class ImpossibleTransition(RookeryError):
    """A state table was asked for a step that it does not have; a defect of the caller."""

    def __init__(self, state: str, event: str) -> None:
        self.state = state
        self.event = event
        super().__init__(f"no transition from {state} on {event}")


class StopFailed(RookeryError):
    """Processes outlived SIGKILL (they hang in the kernel). pids: which."""

    def __init__(self, pids: Sequence[int], after: float) -> None:
        self.pids = tuple(pids)
        self.after = after
        super().__init__(
            f"processes {', '.join(map(str, pids))} are still there {after:g} s after SIGKILL",
            why="the kernel has not let them go",
            hint="look at their state with: ps -o pid,stat,wchan -p PID",
        )


class LinkError(RookeryError):
    """A connection between two processes of ours broke."""


class FrameError(LinkError):
    """A frame is malformed or larger than allowed; the connection is closed."""


class StaleLease(LinkError):
    """Another manager has taken over; this one must leave."""


class Disconnected(LinkError):
    """The other side of a channel went away, or the channel was closed here; what was underway is not done."""


class WorkerLost(Disconnected):
    """A worker has ended, and its channel with it; what was underway is not done.

    pid; returncode: negative for a signal, or None where nobody saw the end; signal: its name or None; stderr: its last
    lines.
    """

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        pid: int = 0,
        returncode: int | None = None,
        signal: str | None = None,
        stderr: str = "",
    ) -> None:
        self.pid = pid
        self.returncode = returncode
        self.signal = signal
        self.stderr = stderr
        super().__init__(what, why=why, hint=hint)


class ParentGone(Disconnected, SystemExit):
    """The parent of this worker has gone, or disconnected. Where nobody takes it the program ends with 0."""


class NotTrusted(LinkError):
    """The other side is not who it should be: its secret is another one, or its user."""


class ChannelTimeout(RookeryError):
    """No message or answer came in time; the channel lives on. after: seconds."""

    def __init__(self, what: str, after: float, *, hint: str = "") -> None:
        self.after = after
        super().__init__(f"{what} within {after:g} s", hint=hint)


class RemoteError(RookeryError):
    """The other side failed at a request.

    kind: the name of its error's type, such as "ValueError"; text: its message; traceback: as it would have been
    printed there, or "".
    """

    def __init__(self, kind: str, text: str, *, traceback: str = "", hint: str = "") -> None:
        self.kind = kind
        self.text = text
        self.traceback = traceback
        super().__init__(f"{kind}: {text}" if text else kind, hint=hint)

    def __str__(self) -> str:
        if not self.traceback:
            return self.what
        return f"{self.what}\n\nwhere it happened:\n{self.traceback.rstrip()}"


class SharedMemoryError(RookeryError):
    """Shared memory could not be made, found or used."""


class FileDamaged(RookeryError):
    """A file of state cannot be read. path: which; copy: where what it holds is kept, or "" where that failed."""

    def __init__(self, path: str, why: str, *, copy: str = "") -> None:
        self.path = path
        self.copy = copy
        hint = f"a copy is {copy}; " if copy else ""
        super().__init__(f"{path} cannot be read", why=why, hint=f"{hint}mend it, or write a new value over it")


class LockTimeout(RookeryError):
    """A lock between processes was not free in time. lock: of what; after: seconds."""

    def __init__(self, lock: str, after: float, *, hint: str = "") -> None:
        self.lock = lock
        self.after = after
        super().__init__(f"the lock of {lock} was not free within {after:g} s", hint=hint)


class InputClosed(LinkError):
    """A child does not read its stdin any more: it has ended, or closed it."""


class ControlError(RookeryError):
    """A request to the manager was not fulfilled."""


class NoManager(ControlError):
    """No manager runs and none was to be started."""

    exit_code = 4


class NothingMatched(ControlError):
    """No app matched the selector."""

    exit_code = 3


class OperationFailed(ControlError):
    """The manager tried and failed."""


class WaitExpired(ControlError):
    """The wait's limit passed; the work goes on in the manager."""

    exit_code = 5
