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
from rookery._os import features, kernel
from rookery.process.environment import Environment
from rookery.process.gate import placing_fds, through_gate
from rookery.process.lookup import candidates, exists, explain, find
from rookery.process.spec import SpawnSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NamedTuple

    class Spawned(NamedTuple):
        """A process that has passed exec; pidfd is -1 where the kernel has none."""

        pid: int
        pidfd: int
        start_time: int
else:
    Spawned = namedtuple("Spawned", "pid pidfd start_time")  # noqa: PYI024 - typing costs the keeper 5 ms

_STANDARD = 3
_NAMES_TO_TRY = 2000
# Before 3.12 the child does not say which call before exec it was; with these numbers it can only have been chdir.
_OF_CHDIR = {errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


def spawn_process(
    spec: SpawnSpec, fds: Mapping[int, int], *, filler: int = -1, open_files: int | None = None
) -> Spawned:
    """Start it and return once exec has succeeded (it may still be at its last steps).

    fds: {child's number: descriptor of ours}; they stay ours, and open. filler: where this process runs a single
    thread and keeps all low numbers occupied by copies of this descriptor (the keeper, see fill_low_numbers), the
    child's numbers above 2 are put in place here for the moment of the fork; otherwise a gate places them in the
    child. open_files: the child's soft limit of open files, default ours.
    Raises SpawnError (and what derives from it); then nothing of the process is left behind.
    """
    env = _check(spec)
    argv = list(spec.argv)
    moves = sorted(number for number, fd in fds.items() if number >= _STANDARD and number != fd)
    # A number that is one of our own descriptors (more numbers than were filled) is not put in place here.
    in_place = filler >= 0 and all(_is_filled(number, filler) for number in moves)
    is_gated = bool(spec.rlimits or spec.pty)
    if is_gated or (moves and not in_place):
        if find(argv[0], spec.env, spec.cwd) is None:  # a gate would only say 127
            number = errno.EACCES if exists(argv[0], spec.env, spec.cwd) else errno.ENOENT
            raise explain(number, argv, stage="exec", env=spec.env, cwd=spec.cwd)
        if is_gated:
            argv = _gated(spec, argv)
    before = kernel.ticks()
    try:
        if in_place or not moves:
            pid = _spawn_in_place(spec, argv, env, fds, moves, filler, open_files)
        else:
            pid = _spawn_placing(spec, argv, env, fds, moves, open_files)
    except OSError as error:  # no descriptors for what the start itself needs
        raise explain(error.errno or 0, spec.argv, stage="fork", env=spec.env, cwd=spec.cwd) from None
    try:
        return own(pid, _same_tick(before))
    except OSError as error:
        _undo(pid)
        raise explain(error.errno or 0, spec.argv, stage="fork", env=spec.env, cwd=spec.cwd) from None


def _gated(spec: SpawnSpec, argv: Sequence[str]) -> list[str]:
    try:
        return through_gate(argv, spec.rlimits, env=os.environ if spec.env is None else spec.env, pty=spec.pty)
    except ValueError as error:
        raise errors.SpawnError(str(error), argv=spec.argv, cwd=spec.cwd) from None


def _spawn_in_place(
    spec: SpawnSpec,
    argv: Sequence[str],
    env: list[bytes] | None,
    fds: Mapping[int, int],
    moves: Sequence[int],
    filler: int,
    open_files: int | None,
) -> int:
    keep = tuple(sorted(number for number in fds if number >= _STANDARD))
    try:
        for number in moves:
            os.dup2(fds[number], number, inheritable=False)
        return _fork_exec(spec, argv, env, fds, keep, open_files)
    finally:
        for number in moves:
            os.dup2(filler, number, inheritable=False)


def _spawn_placing(
    spec: SpawnSpec,
    argv: Sequence[str],
    env: list[bytes] | None,
    fds: Mapping[int, int],
    moves: Sequence[int],
    open_files: int | None,
) -> int:
    copies: list[tuple[int, int]] = []
    try:
        for number in moves:
            copies.append((_copy_above(fds[number], max(fds)), number))  # noqa: PERF401 - what was made is closed
        keep = {number for number in fds if number >= _STANDARD and number not in moves}
        keep |= {fd for fd, _ in copies}
        argv = placing_fds(argv, copies, env=os.environ if spec.env is None else spec.env)
        return _fork_exec(spec, argv, env, fds, tuple(sorted(keep)), open_files)
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


def _same_tick(before: int | None) -> int | None:
    """The child's start time by the clock, where there was one tick only in which it can have started.

    Its line in /proc could be read in place of that, but while it is at the last steps of its exec that waits for it.
    """
    if before is None or before != kernel.ticks() or not _suspends() or not features.known().get("start_clock"):
        return None
    return before


def own(pid: int, start_time: int | None = None) -> Spawned:
    """Take hold of a child that was just started: its pidfd and its start time, while it cannot be reaped yet.

    start_time: where it is known already.

    Raises OSError where there is no descriptor left for it.
    """
    try:
        pidfd = kernel.pidfd_open(pid) if kernel.has_pidfd() else -1
    except ProcessLookupError:  # ended already, and the kernel reaps for us: SIGCHLD is ignored
        pidfd = -1
    try:
        return Spawned(pid, pidfd, start_time if start_time is not None else kernel.start_time(pid) or 0)
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


def _check(spec: SpawnSpec) -> list[bytes] | None:
    """See that it can be passed on; the environment as the kernel wants it."""
    if not spec.argv or not spec.argv[0]:
        raise errors.SpawnError("the command is empty", argv=spec.argv)
    for part in spec.argv:
        if not _is_passable(part):
            raise errors.SpawnError(f"the argument {part!r} holds what no argument can", argv=spec.argv)
    env = _encoded(spec)
    if spec.cwd is not None and not _is_passable(spec.cwd):
        raise errors.DirectoryMissing(f"cannot work in {spec.cwd!r}", argv=spec.argv, cwd=spec.cwd)
    if not candidates(spec.argv[0], spec.env):  # exec would be asked for nothing, and answer anything
        raise errors.CommandNotFound(spec.argv, cwd=spec.cwd)
    return env


def _encoded(spec: SpawnSpec) -> list[bytes] | None:
    if spec.env is None:
        return None
    if isinstance(spec.env, Environment):
        return spec.env.block
    block = []
    for key, value in spec.env.items():
        try:
            entry = os.fsencode(f"{key}={value}")
        except UnicodeEncodeError:
            entry = b"\0"
        if b"\0" in entry or "=" in key or not key:
            raise errors.SpawnError(f"the environment variable {key!r} cannot be passed on", argv=spec.argv)
        block.append(entry)
    return block


def _is_passable(text: str) -> bool:
    """Whether the kernel can be given it: no null byte, no half of a surrogate pair."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _fork_exec(
    spec: SpawnSpec,
    argv: Sequence[str],
    env: list[bytes] | None,
    fds: Mapping[int, int],
    high: tuple[int, ...],
    open_files: int | None,
) -> int:
    null = -1
    if any(number not in fds for number in range(_STANDARD)):
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    # exec's failure comes back through this pipe; both ends close on exec, so its end of file is success.
    try:
        error_read, error_write = os.pipe()
    except OSError:
        if null >= 0:
            os.close(null)
        raise
    pid = 0
    try:
        if error_write < _STANDARD:  # the child must not find it at a standard number
            error_write = move_above(error_write, _STANDARD - 1)
        arguments = (
            [os.fsencode(part) for part in argv],
            tuple(os.fsencode(path) for path in candidates(argv[0], spec.env)),
            tuple(sorted((*high, error_write))),
            None if spec.cwd is None else os.fsencode(spec.cwd),
            env,
            [fds.get(number, null) for number in range(_STANDARD)],
            (error_read, error_write),
            spec,
        )
        pid = _fork(arguments, spec, open_files)
        os.close(error_write)
        error_write = -1
        report = _report(error_read, spec)
    except BaseException:  # a signal handler of theirs raised: nobody would own the child
        if pid:
            _undo(pid)
        raise
    finally:
        if null >= 0:
            os.close(null)
        os.close(error_read)
        if error_write >= 0:
            os.close(error_write)
    if report:
        _reap(pid)  # it has only its _exit left to do
        raise _from_report(report, spec)
    return pid


def _report(error_read: int, spec: SpawnSpec) -> bytes:
    """What the child says of its failure; b"" where it has none."""
    if spec.uid is None and spec.gid is None and spec.groups is None and _suspends():
        # We were suspended until exec could not fail any more, or the child had said all and was gone. The end of
        # the file comes later, when the child gets a CPU to finish its exec on; with many at once that takes long.
        os.set_blocking(error_read, False)
    report = b""
    try:
        while chunk := os.read(error_read, 4096):
            report += chunk
    except BlockingIOError:
        pass
    return report


def _suspends() -> bool:
    return features.has("vfork", _probe_vfork)


def _probe_vfork() -> bool:
    """Whether fork_exec comes back after exec only: a child that tries thousands of names has said so by then."""
    names = tuple(b"/nonexistent/%d" % number for number in range(_NAMES_TO_TRY))
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    error_read, error_write = os.pipe()
    try:
        ends = (error_read, error_write)
        spec = SpawnSpec(("",))
        before = kernel.ticks()
        pid = _call_fork_exec([b""], names, (error_write,), None, [], [null] * _STANDARD, ends, spec)
        os.set_blocking(error_read, False)
        try:
            is_there = bool(os.read(error_read, 1))
        except BlockingIOError:
            is_there = False
        told = kernel.start_time(pid)
        features.has("start_clock", lambda: before is not None and told is not None and 0 <= told - before <= 1)
        _reap(pid)
    finally:
        for fd in (null, error_read, error_write):
            os.close(fd)
    return is_there


def _fork(arguments: tuple[Any, ...], spec: SpawnSpec, open_files: int | None) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE) if open_files is not None else (0, 0)
    try:
        if open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(open_files, hard), hard))
        if spec.nice is not None or spec.affinity is not None:
            return kernel.start_scheduled(spec.nice, spec.affinity, lambda: _call_fork_exec(*arguments))
        return _call_fork_exec(*arguments)
    except OSError as error:
        if spec.affinity is not None and error.errno == errno.EINVAL:
            raise errors.SpawnError(
                f"there is none of the CPUs {', '.join(map(str, spec.affinity))}",
                argv=spec.argv,
                errno=errno.EINVAL,
                hint="see: nproc --all",
            ) from None
        raise explain(error.errno or 0, spec.argv, stage="fork", env=spec.env, cwd=spec.cwd) from None
    finally:
        if open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


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
