"""What can go wrong with a process: it cannot start, it fails, it is gone, it does not go."""

from __future__ import annotations

from rookery.errors.base import RookeryError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rookery.process.pipeline import PipelineResult
    from rookery.process.result import Result


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
