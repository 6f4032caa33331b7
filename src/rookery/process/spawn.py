"""The one spawn path.

CPython's own vfork and exec, as subprocess uses it, without what subprocess wraps around it: no thread, no object
that reaps behind our back. The pid is owned by the caller from the return on; nothing waits in between.
The library's spawner and the keeper both come here, so it imports the standard library's small parts only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import sys
from collections import namedtuple

from rookery import errors
from rookery._os import kernel
from rookery.process.gate import placing_fds, through_gate
from rookery.process.lookup import candidates, exists, explain, find, near_matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NamedTuple

    from rookery.process.spec import SpawnSpec

    class Spawned(NamedTuple):
        """A process that has passed exec; pidfd is -1 where the kernel has none."""

        pid: int
        pidfd: int
        start_time: int
else:
    Spawned = namedtuple("Spawned", "pid pidfd start_time")

_STANDARD = 3


def spawn_process(
    spec: SpawnSpec, fds: Mapping[int, int], *, filler: int = -1, open_files: int | None = None
) -> Spawned:
    """Start it and return once exec has succeeded.

    fds: {child's number: descriptor of ours}; they stay ours, and open. filler: where this process runs a single
    thread and keeps all low numbers occupied by copies of this descriptor (the keeper, see fill_low_numbers), the
    child's numbers above 2 are put in place here for the moment of the fork; otherwise a gate places them in the
    child. open_files: the child's soft limit of open files, default ours.
    Raises SpawnError (and what derives from it); then nothing of the process is left behind.
    """
    _check(spec)
    argv = list(spec.argv)
    high = {number: fd for number, fd in fds.items() if number >= _STANDARD}
    moves = sorted(number for number, fd in high.items() if number != fd)
    if spec.rlimits or (moves and filler < 0):
        if find(argv[0], spec.env, spec.cwd) is None:  # a gate would only say 127
            number = errno.EACCES if exists(argv[0], spec.env, spec.cwd) else errno.ENOENT
            raise explain(number, argv, stage="exec", env=spec.env, cwd=spec.cwd)
        if spec.rlimits:
            argv = through_gate(argv, spec.rlimits)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    copies: list[tuple[int, int]] = []
    try:
        standard = [fds.get(number, null) for number in range(_STANDARD)]
        if filler >= 0:
            for number in moves:
                os.dup2(high[number], number, inheritable=False)
            keep = tuple(sorted(high))
        else:
            copies = [(_copy_above(high[number], max(high)), number) for number in moves]
            keep = tuple(sorted({number for number in high if number not in moves} | {fd for fd, _ in copies}))
            if copies:
                argv = placing_fds(argv, copies)
        pid = _fork_exec(spec, argv, standard, keep, open_files)
    finally:
        os.close(null)
        for fd, _ in copies:
            os.close(fd)
        if filler >= 0:
            for number in moves:
                os.dup2(filler, number, inheritable=False)
    return own(pid)


def fill_low_numbers(below: int) -> int:
    """Occupy every free number from 3 to below - 1, so that no descriptor of ours lands there; return the filler."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    filler = move_above(null, below - 1)
    for number in range(_STANDARD, below):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(filler, number, inheritable=False)
    return filler


def own(pid: int) -> Spawned:
    """Take hold of a child that was just started: its pidfd and its start time, while it cannot be reaped yet."""
    pidfd = kernel.pidfd_open(pid) if kernel.has_pidfd() else -1
    return Spawned(pid, pidfd, kernel.start_time(pid) or 0)


def _copy_above(fd: int, number: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, number + 1)


def move_above(fd: int, number: int) -> int:
    """Move a descriptor to a number above ``number`` and return it; the old one is closed."""
    moved = _copy_above(fd, number)
    os.close(fd)
    return moved


def _check(spec: SpawnSpec) -> None:
    if not spec.argv or not spec.argv[0]:
        raise errors.SpawnError("the command is empty", argv=spec.argv)
    for part in spec.argv:
        if "\0" in part:
            raise errors.SpawnError("an argument holds a null byte", argv=spec.argv)
    for key, value in (spec.env or {}).items():
        if "\0" in key or "\0" in value or "=" in key or not key:
            raise errors.SpawnError(f"the environment variable {key!r} cannot be passed on", argv=spec.argv)


def _fork_exec(
    spec: SpawnSpec,
    argv: Sequence[str],
    standard: Sequence[int],
    high: tuple[int, ...],
    open_files: int | None,
) -> int:
    # exec's failure comes back through this pipe; both ends close on exec, so its end of file is success.
    error_read, error_write = os.pipe()
    try:
        if error_write < _STANDARD:  # the child must not find it at a standard number
            error_write = move_above(error_write, _STANDARD - 1)
        env = None if spec.env is None else [os.fsencode(f"{key}={value}") for key, value in spec.env.items()]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            if open_files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(open_files, hard), hard))
            pid = _call_fork_exec(
                [os.fsencode(part) for part in argv],
                tuple(os.fsencode(path) for path in candidates(argv[0], spec.env)),
                tuple(sorted((*high, error_write))),
                None if spec.cwd is None else os.fsencode(spec.cwd),
                env,
                standard,
                (error_read, error_write),
                spec,
            )
        except OSError as error:
            raise explain(error.errno or 0, spec.argv, stage="fork", env=spec.env, cwd=spec.cwd) from None
        finally:
            if open_files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(error_write)
        error_write = -1
        report = b""
        while chunk := os.read(error_read, 4096):
            report += chunk
    finally:
        os.close(error_read)
        if error_write >= 0:
            os.close(error_write)
    if report:
        os.waitpid(pid, 0)  # it has only its _exit left to do
        raise _from_report(report, spec)
    return pid


def _from_report(report: bytes, spec: SpawnSpec) -> errors.SpawnError:
    kind, number, detail = (report.split(b":", 2) + [b"", b""])[:3]
    code = int(number, 16) if kind == b"OSError" and number else 0
    # The child says "noexec:chdir" and the like for what failed before exec.
    stage = "exec"
    if detail.startswith(b"noexec"):
        stage = "chdir" if detail == b"noexec:chdir" else "user" if code == errno.EPERM else "fork"
    if stage == "exec" and code == errno.ENOENT and not candidates(spec.argv[0], spec.env):
        return errors.CommandNotFound(spec.argv, near=near_matches(spec.argv[0], spec.env), cwd=spec.cwd)
    return explain(code, spec.argv, stage=stage, env=spec.env, cwd=spec.cwd)


def _call_fork_exec(  # noqa: PLR0917
    argv: list[bytes],
    executables: tuple[bytes, ...],
    keep: tuple[int, ...],
    cwd: bytes | None,
    env: list[bytes] | None,
    standard: Sequence[int],
    error_pipe: tuple[int, int],
    spec: SpawnSpec,
) -> int:
    """The seam to the interpreter's private function; its arguments are those of 3.11 to 3.14."""
    from _posixsubprocess import fork_exec  # noqa: PLC0415, PLC2701

    call: Callable[..., int] = fork_exec
    return call(
        argv,
        executables,
        True,  # close every descriptor that is not kept
        keep,
        cwd,
        env,
        standard[0],
        -1,
        -1,
        standard[1],
        -1,
        standard[2],
        *error_pipe,
        True,  # restore SIGPIPE and SIGXFSZ
        spec.session,
        -1,  # no process group of its own beyond the session's
        spec.gid,
        None if spec.groups is None else list(spec.groups),
        spec.uid,
        -1 if spec.umask is None else spec.umask,
        None,
        *((True,) if sys.version_info < (3, 14) else ()),  # vfork where it is safe
    )
