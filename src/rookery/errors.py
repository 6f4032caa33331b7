"""The error tree.

RookeryError
├── UsageError                  the call or the command line is wrong
│   └── ConfigError             a configuration file or an option is wrong (file, line, key)
├── SpawnError                  a process could not be started; nothing of it is left behind
│   ├── CommandNotFound         no such program (near: similar names on PATH)
│   ├── CommandNotExecutable    the program may not be executed
│   ├── DirectoryMissing        the working directory is not there
│   ├── UserUnknown             no such user or group
│   └── ResourcesExhausted      no more processes, memory or files
├── ImpossibleTransition        a state table was asked for a step that it does not have
├── StopFailed                  a process outlived SIGKILL for too long
├── LinkError                   a connection between two processes of ours broke
│   ├── FrameError              a frame is malformed or too large
│   └── StaleLease              another manager has taken over
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

__all__ = [
    "CommandNotExecutable",
    "CommandNotFound",
    "ConfigError",
    "ControlError",
    "DirectoryMissing",
    "FrameError",
    "ImpossibleTransition",
    "LinkError",
    "NoManager",
    "NothingMatched",
    "OperationFailed",
    "ResourcesExhausted",
    "RookeryError",
    "SpawnError",
    "StaleLease",
    "StopFailed",
    "UsageError",
    "UserUnknown",
    "WaitExpired",
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
