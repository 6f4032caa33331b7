"""The one spawn path.

CPython's own vfork and exec (see exec_call.py): no thread, no object that reaps behind our back. The pid is owned by
the caller from the return on; nothing waits in between.
The library's spawner and the keeper both come here, so it imports the standard library's small parts only.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import namedtuple
from contextlib import suppress

from rookery import errors
from rookery._os import features, kernel
from rookery.process.environment import encoded
from rookery.process.exec_call import (
    STANDARD,
    Tools,
    call_fork_exec,
    copy_above,
    fork_exec_otherwise,
    from_report,
    move_above,
    reap,
    suspends,
)
from rookery.process.gate import placing_fds, through_gate
from rookery.process.lookup import candidates, exists, explain, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NamedTuple

    from rookery.process.exec_call import Command
    from rookery.process.spec import SpawnSpec

    class Spawned(NamedTuple):
        """A process that has passed exec; pidfd is -1 where the kernel has none."""

        pid: int
        pidfd: int
        start_time: int
else:
    Spawned = namedtuple("Spawned", "pid pidfd start_time")  # noqa: PYI024 - typing costs the keeper 5 ms

__all__ = ["Spawned", "Tools", "fill_low_numbers", "move_above", "own", "spawn_process"]


def spawn_process(
    spec: SpawnSpec,
    fds: Mapping[int, int],
    *,
    filler: int = -1,
    open_files: int | None = None,
    tools: Tools | None = None,
) -> Spawned:
    """Start it and return once exec has succeeded (it may still be at its last steps).

    fds: {child's number: descriptor of ours}; they stay ours, and open. filler: where this process runs a single
    thread and keeps all low numbers occupied by copies of this descriptor (the keeper, see fill_low_numbers), the
    child's numbers above 2 are put in place here for the moment of the fork; otherwise a gate places them in the
    child. open_files: the child's soft limit of open files, default ours. tools: kept by a caller who starts many, in
    one thread; they are closed where a start was broken off.
    Raises SpawnError (and what derives from it); then nothing of the process is left behind.
    """
    command, env = _check(spec)
    moves: list[int] = []
    if fds and max(fds) >= STANDARD:
        moves = sorted([number for number, fd in fds.items() if number >= STANDARD and number != fd])
    # A number that is one of our own descriptors (more numbers than were filled) is not put in place here.
    in_place = not moves or (filler >= 0 and all(_is_filled(number, filler) for number in moves))
    argv: Sequence[str] = spec.argv
    if spec.rlimits or spec.pty or not in_place:
        if find(argv[0], spec.env, spec.cwd) is None:  # a gate would only say 127
            number = errno.EACCES if exists(argv[0], spec.env, spec.cwd) else errno.ENOENT
            raise explain(number, argv, stage="exec", env=spec.env, cwd=spec.cwd)
        if spec.rlimits or spec.pty:
            argv = _gated(spec)
            command = _command(argv, None)
    before = kernel.ticks()
    spare: list[int] = []
    try:
        if tools is not None:  # what owning it takes, held until then: better no start than a child that is killed
            spare.append(os.dup(tools.null))
            spare.append(os.dup(tools.null))
        if not moves:
            pid = _fork_exec(spec, command, env, fds, open_files, tools)
        elif in_place:
            pid = _spawn_in_place(spec, command, env, fds, moves, filler, open_files)
        else:
            pid = _spawn_placing(spec, argv, env, fds, moves, open_files)
    except OSError as error:  # no descriptors for what the start itself needs
        raise explain(error.errno or 0, spec.argv, stage="fork", env=spec.env, cwd=spec.cwd) from None
    finally:
        for fd in spare:
            os.close(fd)
    try:
        return own(pid, _same_tick(before))
    except OSError as error:
        _undo(pid)
        raise explain(error.errno or 0, spec.argv, stage="fork", env=spec.env, cwd=spec.cwd) from None


def _gated(spec: SpawnSpec) -> list[str]:
    try:
        return through_gate(spec.argv, spec.rlimits, env=os.environ if spec.env is None else spec.env, pty=spec.pty)
    except ValueError as error:
        raise errors.SpawnError(str(error), argv=spec.argv, cwd=spec.cwd) from None


def _spawn_in_place(
    spec: SpawnSpec,
    command: Command,
    env: list[bytes] | None,
    fds: Mapping[int, int],
    moves: Sequence[int],
    filler: int,
    open_files: int | None,
) -> int:
    try:
        for number in moves:
            os.dup2(fds[number], number, inheritable=False)
        return _fork_exec(spec, command, env, fds, open_files)
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
            copies.append((copy_above(fds[number], max(fds)), number))  # noqa: PERF401 - what was made is closed
        argv = placing_fds(argv, copies, env=os.environ if spec.env is None else spec.env)
        passed = {number: fd for number, fd in fds.items() if number not in moves}
        passed.update({fd: fd for fd, _ in copies})
        return _fork_exec(spec, _command(argv, None), env, passed, open_files)
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
    for number in range(STANDARD, below):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(filler, number, inheritable=False)
    return filler


def _same_tick(before: int | None) -> int | None:
    """The child's start time by the clock, where there was one tick only in which it can have started.

    Its line in /proc could be read in place of that, but while it is at the last steps of its exec that waits for it.
    """
    if before is None or before != kernel.ticks() or not suspends() or not features.probed.get("start_clock"):
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
    """End a child that nobody will own, and what it may have started in its session."""
    try:
        with suppress(ProcessLookupError):  # it has no group of its own
            os.killpg(pid, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # SIGCHLD is ignored: the kernel has reaped it
        return
    reap(pid)


def _check(spec: SpawnSpec) -> tuple[Command, list[bytes] | None]:
    """See that it can be passed on; the command and the environment as the kernel wants them."""
    argv = spec.argv
    if not argv or not argv[0]:
        raise errors.SpawnError("the command is empty", argv=argv)
    try:
        command = _command(argv, spec.env)
    except UnicodeEncodeError:
        command = ([b"\0"], ())
    if b"\0" in b"".join(command[0]):
        part = next(part for part in argv if not _is_passable(part))
        raise errors.SpawnError(f"the argument {part!r} holds what no argument can", argv=argv)
    env = encoded(spec.env, argv)
    if spec.cwd is not None and not _is_passable(spec.cwd):
        raise errors.DirectoryMissing(f"cannot work in {spec.cwd!r}", argv=argv, cwd=spec.cwd)
    if not command[1]:  # exec would be asked for nothing, and answer anything
        raise errors.CommandNotFound(argv, cwd=spec.cwd)
    return command, env


def _command(argv: Sequence[str], env: Mapping[str, str] | None) -> Command:
    encode = os.fsencode
    encoded_argv = [encode(part) for part in argv]
    if b"/" in encoded_argv[0]:
        return encoded_argv, (encoded_argv[0],)
    return encoded_argv, tuple([encode(path) for path in candidates(argv[0], env)])


def _is_passable(text: str) -> bool:
    """Whether the kernel can be given it: no null byte, no half of a surrogate pair."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _fork_exec(
    spec: SpawnSpec,
    command: Command,
    env: list[bytes] | None,
    fds: Mapping[int, int],
    open_files: int | None,
    tools: Tools | None = None,
) -> int:
    """Raises OSError where the fork fails, and SpawnError."""
    certain = spec.uid is None and spec.gid is None and spec.groups is None and suspends()
    used = tools if tools is not None and certain else Tools()
    pid = 0
    try:
        high = () if not fds or max(fds) < STANDARD else tuple([number for number in fds if number >= STANDARD])
        if open_files is None and spec.nice is None and spec.affinity is None:
            pid = call_fork_exec(command, high, env, fds, used, spec)
        else:
            pid = fork_exec_otherwise(command, high, env, fds, used, spec, open_files)
        report = used.report(is_certain=certain)
    except BaseException:
        if pid:  # a signal handler of theirs raised: nobody would own the child
            _undo(pid)
        used.close()  # the next start must not take for its own what is said there
        raise
    if used is not tools:
        used.close()
    if report:
        reap(pid)  # it has only its _exit left to do
        raise from_report(report, spec)
    return pid
