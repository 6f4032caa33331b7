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
import signal
import sys
from _posixsubprocess import fork_exec  # here, not at the first start: there may be no descriptor left to load it
from collections import namedtuple

from rookery import errors
from rookery._os import kernel
from rookery.process.gate import placing_fds, through_gate
from rookery.process.lookup import candidates, exists, explain, find

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
    Spawned = namedtuple("Spawned", "pid pidfd start_time")  # noqa: PYI024 - typing costs the keeper 5 ms

_STANDARD = 3
# Before 3.12 the child does not say which call before exec it was; with these numbers it can only have been chdir.
_OF_CHDIR = {errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


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
    moves = sorted(number for number, fd in fds.items() if number >= _STANDARD and number != fd)
    # A number that is one of our own descriptors (more numbers than were filled) is not put in place here.
    in_place = filler >= 0 and all(_is_filled(number, filler) for number in moves)
    if spec.rlimits or (moves and not in_place):
        if find(argv[0], spec.env, spec.cwd) is None:  # a gate would only say 127
            number = errno.EACCES if exists(argv[0], spec.env, spec.cwd) else errno.ENOENT
            raise explain(number, argv, stage="exec", env=spec.env, cwd=spec.cwd)
        if spec.rlimits:
            argv = _limited(spec, argv)
    try:
        if in_place or not moves:
            pid = _spawn_in_place(spec, argv, fds, moves, filler, open_files)
        else:
            pid = _spawn_placing(spec, argv, fds, moves, open_files)
    except OSError as error:  # no descriptors for what the start itself needs
        raise explain(error.errno or 0, spec.argv, stage="fork", env=spec.env, cwd=spec.cwd) from None
    try:
        return own(pid)
    except OSError as error:
        _undo(pid)
        raise explain(error.errno or 0, spec.argv, stage="fork", env=spec.env, cwd=spec.cwd) from None


def _limited(spec: SpawnSpec, argv: Sequence[str]) -> list[str]:
    try:
        return through_gate(argv, spec.rlimits, env=os.environ if spec.env is None else spec.env)
    except ValueError as error:
        raise errors.SpawnError(str(error), argv=spec.argv, cwd=spec.cwd) from None


def _spawn_in_place(
    spec: SpawnSpec,
    argv: Sequence[str],
    fds: Mapping[int, int],
    moves: Sequence[int],
    filler: int,
    open_files: int | None,
) -> int:
    keep = tuple(sorted(number for number in fds if number >= _STANDARD))
    try:
        for number in moves:
            os.dup2(fds[number], number, inheritable=False)
        return _fork_exec(spec, argv, fds, keep, open_files)
    finally:
        for number in moves:
            os.dup2(filler, number, inheritable=False)


def _spawn_placing(
    spec: SpawnSpec, argv: Sequence[str], fds: Mapping[int, int], moves: Sequence[int], open_files: int | None
) -> int:
    copies: list[tuple[int, int]] = []
    try:
        for number in moves:
            copies.append((_copy_above(fds[number], max(fds)), number))  # noqa: PERF401 - what was made is closed
        keep = {number for number in fds if number >= _STANDARD and number not in moves}
        keep |= {fd for fd, _ in copies}
        argv = placing_fds(argv, copies, env=os.environ if spec.env is None else spec.env)
        return _fork_exec(spec, argv, fds, tuple(sorted(keep)), open_files)
    finally:
        for fd, _ in copies:
            os.close(fd)


def _is_filled(number: int, filler: int) -> bool:
    try:
        return os.path.sameopenfile(number, filler)
    except OSError:  # closed: nobody's
        return True


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
    """Take hold of a child that was just started: its pidfd and its start time, while it cannot be reaped yet.

    Raises OSError where there is no descriptor left for it.
    """
    try:
        pidfd = kernel.pidfd_open(pid) if kernel.has_pidfd() else -1
    except ProcessLookupError:  # ended already, and the kernel reaps for us: SIGCHLD is ignored
        pidfd = -1
    try:
        return Spawned(pid, pidfd, kernel.start_time(pid) or 0)
    except OSError:
        if pidfd >= 0:
            os.close(pidfd)
        raise


def _undo(pid: int) -> None:
    """End a child that nobody will own."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # SIGCHLD is ignored: the kernel has reaped it
        return
    _reap(pid)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:  # SIGCHLD is ignored: the kernel has reaped it
        return


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
        if not _is_passable(part):
            raise errors.SpawnError(f"the argument {part!r} holds what no argument can", argv=spec.argv)
    for key, value in (spec.env or {}).items():
        if "=" in key or not key or not _is_passable(key + value):
            raise errors.SpawnError(f"the environment variable {key!r} cannot be passed on", argv=spec.argv)
    if spec.cwd is not None and not _is_passable(spec.cwd):
        raise errors.DirectoryMissing(f"cannot work in {spec.cwd!r}", argv=spec.argv, cwd=spec.cwd)
    if not candidates(spec.argv[0], spec.env):  # exec would be asked for nothing, and answer anything
        raise errors.CommandNotFound(spec.argv, cwd=spec.cwd)


def _is_passable(text: str) -> bool:
    """Whether the kernel can be given it: no null byte, no half of a surrogate pair."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _fork_exec(
    spec: SpawnSpec,
    argv: Sequence[str],
    fds: Mapping[int, int],
    high: tuple[int, ...],
    open_files: int | None,
) -> int:
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    # exec's failure comes back through this pipe; both ends close on exec, so its end of file is success.
    try:
        error_read, error_write = os.pipe()
    except OSError:
        os.close(null)
        raise
    pid = 0
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
                [fds.get(number, null) for number in range(_STANDARD)],
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
    except BaseException:  # a signal handler of theirs raised: nobody would own the child
        if pid:
            _undo(pid)
        raise
    finally:
        os.close(null)
        os.close(error_read)
        if error_write >= 0:
            os.close(error_write)
    if report:
        _reap(pid)  # it has only its _exit left to do
        raise _from_report(report, spec)
    return pid


def _from_report(report: bytes, spec: SpawnSpec) -> errors.SpawnError:
    kind, number, detail = [*report.split(b":", 2), b"", b""][:3]
    code = int(number, 16) if kind == b"OSError" and number else 0
    stage = "exec"
    if detail == b"noexec:chdir" or (detail == b"noexec" and spec.cwd is not None and code in _OF_CHDIR):
        stage = "chdir"
    elif detail.startswith(b"noexec"):  # what failed before exec
        stage = "user" if code == errno.EPERM else "fork"
    return explain(code, spec.argv, stage=stage, env=spec.env, cwd=spec.cwd)


def _call_fork_exec(
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
