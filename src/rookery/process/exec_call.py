"""The seam to the interpreter's private fork_exec, and what the child says through it of its failure.

CPython's own vfork and exec, as subprocess uses it, without what subprocess wraps around it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import sys
from _posixsubprocess import fork_exec  # here, not at the first start: there may be no descriptor left to load it

from rookery import errors
from rookery._os import features, kernel
from rookery.process.lookup import explain
from rookery.process.spec import SpawnSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Command = tuple[list[bytes], tuple[bytes, ...]]
    """The arguments, and where exec is to try, in order."""

STANDARD = 3
_NAMES_TO_TRY = 2000
# Before 3.12 the child does not say which call before exec it was; with these numbers it can only have been chdir.
_OF_CHDIR = {errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


class Tools:
    """/dev/null, and the pipe that exec's failure comes back through. For one thread at a time.

    They serve one start, or many (see suspends): opening and closing them takes a tenth of a start. Raises OSError.
    """

    __slots__ = ("_poll", "null", "read", "write")

    def __init__(self) -> None:
        self.null = self.read = self.write = -1
        try:
            self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            self.read, self.write = os.pipe()
            if self.write < STANDARD:  # the child must not find it at a standard number
                self.write = move_above(self.write, STANDARD - 1)
        except BaseException:
            self.close()
            raise
        self._poll = select.poll()
        self._poll.register(self.read, select.POLLIN)

    def close(self) -> None:
        """Close all three."""
        for fd in (self.null, self.read, self.write):
            if fd >= 0:
                os.close(fd)
        self.null = self.read = self.write = -1

    def report(self, *, is_certain: bool) -> bytes:
        """What the child says of its failure; b"" where it has none."""
        if is_certain:
            # We were suspended until exec could not fail any more, or the child had said all and was gone. The end of
            # the file comes later, when the child gets a CPU to finish its exec on; with many at once that takes long.
            return os.read(self.read, 4096) if self._poll.poll(0) else b""
        os.close(self.write)
        self.write = -1
        report = b""
        while chunk := os.read(self.read, 4096):
            report += chunk
        return report


def move_above(fd: int, number: int) -> int:
    """Move a descriptor to a number above ``number`` and return it; the old one is closed."""
    moved = copy_above(fd, number)
    os.close(fd)
    return moved


def copy_above(fd: int, number: int) -> int:
    """A copy of a descriptor at a number above ``number``; it does not outlive an exec."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, number + 1)


def suspends() -> bool:
    """Whether fork_exec comes back after the exec only: all is said by then, and the tools can serve again."""
    known = features.probed.get("vfork")
    return features.has("vfork", _probe_vfork) if known is None else known


def _probe_vfork() -> bool:
    """Whether fork_exec comes back after exec only: a child that tries thousands of names has said so by then."""
    names = tuple(b"/nonexistent/%d" % number for number in range(_NAMES_TO_TRY))
    tools = Tools()
    try:
        before = kernel.ticks()
        pid = call_fork_exec(([b""], names), (), [], {}, tools, SpawnSpec(("",)))
        is_there = bool(tools.report(is_certain=True))
        told = kernel.start_time(pid)
        features.has("start_clock", lambda: before is not None and told is not None and 0 <= told - before <= 1)
        reap(pid)
    finally:
        tools.close()
    return is_there


def reap(pid: int) -> None:
    """Wait for a child that is ending."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:  # SIGCHLD is ignored: the kernel has reaped it
        return


def from_report(report: bytes, spec: SpawnSpec) -> errors.SpawnError:
    """The error for what a child said."""
    kind, number, detail = [*report.split(b":", 2), b"", b""][:3]
    code = int(number, 16) if kind == b"OSError" and number else 0
    stage = "exec"
    if detail == b"noexec:chdir" or (detail == b"noexec" and spec.cwd is not None and code in _OF_CHDIR):
        stage = "chdir"
    elif detail.startswith(b"noexec"):  # what failed before exec
        stage = "user" if code == errno.EPERM else "fork"
    return explain(code, spec.argv, stage=stage, env=spec.env, cwd=spec.cwd)


def call_fork_exec(
    command: Command,
    high: tuple[int, ...],
    env: list[bytes] | None,
    fds: Mapping[int, int],
    tools: Tools,
    spec: SpawnSpec,
) -> int:
    """Fork and exec; the pid. high: numbers above 2 that the child keeps. Raises OSError, UnicodeEncodeError.

    The arguments of the interpreter's function are those of 3.11 to 3.14.
    """
    call: Callable[..., int] = fork_exec
    null, error_write = tools.null, tools.write
    return call(
        *command,
        True,  # close every descriptor that is not kept
        tuple(sorted((*high, error_write))) if high else (error_write,),
        None if spec.cwd is None else os.fsencode(spec.cwd),
        env,
        fds.get(0, null),
        -1,
        -1,
        fds.get(1, null),
        -1,
        fds.get(2, null),
        tools.read,
        error_write,
        True,  # restore SIGPIPE and SIGXFSZ
        spec.session,
        -1,  # no process group of its own beyond the session's
        spec.gid,
        None if spec.groups is None else list(spec.groups),
        spec.uid,
        -1 if spec.umask is None else spec.umask,
        None,
        *_VFORK,
    )


_VFORK = (True,) if sys.version_info < (3, 14) else ()  # vfork where it is safe


def fork_exec_otherwise(
    command: Command,
    high: tuple[int, ...],
    env: list[bytes] | None,
    fds: Mapping[int, int],
    tools: Tools,
    spec: SpawnSpec,
    open_files: int | None,
) -> int:
    """call_fork_exec with another limit of open files, another priority or other CPUs than ours. Also SpawnError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        if open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(open_files, hard), hard))
        if spec.nice is not None or spec.affinity is not None:
            return kernel.start_scheduled(
                spec.nice, spec.affinity, lambda: call_fork_exec(command, high, env, fds, tools, spec)
            )
        return call_fork_exec(command, high, env, fds, tools, spec)
    except OSError as error:
        if spec.affinity is not None and error.errno == errno.EINVAL:
            raise errors.SpawnError(
                f"there is none of the CPUs {', '.join(map(str, spec.affinity))}",
                argv=spec.argv,
                errno=errno.EINVAL,
                hint="see: nproc --all",
            ) from None
        if spec.nice is not None and error.errno in (errno.EACCES, errno.EPERM):
            raise errors.SpawnError(
                f"may not have the priority {spec.nice}",
                argv=spec.argv,
                errno=error.errno or 0,
                hint="only root may go below its own; see: ulimit -e",
            ) from None
        raise
    finally:
        if open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
