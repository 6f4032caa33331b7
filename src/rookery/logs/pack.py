"""Compressing rotated files, one after the other, in a process of lowest priority.

::

    Packer                              the process (packing.py)
      opens NAME.3, makes NAME.packing
      starts it with both        ---->  reads, writes, fsync, exit 0
      on_exit(): where is that file now? NAME.packing becomes NAME.4.gz, NAME.4 goes

Rotations go on meanwhile: the process has descriptors, no names, and only the Packer, in the thread that rotates too,
changes names. NAME.N.gz appears when it is whole, before NAME.N goes; a kill in between leaves both, and readers and
rotation take the packed one. The process may outlive a killed collector; what it then finishes is thrown away.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import struct
import sys
from errno import EIO

from rookery._os import kernel
from rookery.errors import SpawnError
from rookery.logs.packing import UNKNOWN
from rookery.logs.rotation import PACKED, PACKING, chain
from rookery.process.spawn import spawn_process
from rookery.process.spec import SpawnSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.logs.rotation import Part

FIRST = 2
"""The newest number that is packed; younger files are read often."""
MOST_WANTED = 1000
"""Logs that may wait; of more of them the next rotation asks again."""
END_WITHIN = 1.0
"""Seconds close() waits for the process that it has killed."""
_CODE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from rookery.logs.packing import main; main()"


def temporary(path: str) -> str:
    """Where a rotated file of the log becomes packed; what is there without a packer is refuse."""
    return path + PACKING


class Packer:
    """Packs the plain rotated files of logs. Nothing here waits for the disk; not safe for threads.

    After each want() and on_exit(), fileno() tells what to watch now.
    """

    __slots__ = ("_job", "_said", "_wanted")

    def __init__(self) -> None:
        self._wanted: dict[str, None] = {}
        self._job: _Job | None = None
        self._said: set[str] = set()

    def want(self, path: str) -> None:
        """Have the rotated files of a log packed, from FIRST on, as soon as the others are done. Never raises OSError.

        What fails is said on stderr, once until it works again, and tried again when the log is wanted again.
        """
        if len(self._wanted) < MOST_WANTED:
            self._wanted[path] = None
        self._next()

    def fileno(self) -> int:
        """A descriptor that is readable when on_exit() is to be called; -1: nothing is under way."""
        return self._job.fileno() if self._job is not None else -1

    def on_exit(self) -> None:
        """The process has ended: name what it has made, and begin the next. Never raises OSError."""
        job, self._job = self._job, None
        if job is not None:
            try:
                is_done = job.finish()
            except OSError as error:
                self._failed(job.path, error.strerror or str(error))
            else:
                if is_done:
                    self._said.discard(job.path)
                    self._wanted[job.path] = None  # it may have more of them
            job.close()
        self._next()

    def close(self) -> None:
        """End what is under way, waiting END_WITHIN at most; nothing is lost by it."""
        self._wanted.clear()
        job, self._job = self._job, None
        if job is not None:
            job.kill()
            job.close()

    def _next(self) -> None:
        while self._job is None and self._wanted:
            path = next(iter(self._wanted))
            del self._wanted[path]
            try:
                self._job = _begin(path)
            except OSError as error:
                self._failed(path, error.strerror or str(error))
            except SpawnError as error:
                self._failed(path, error.why)

    def _failed(self, path: str, why: str) -> None:
        if path in self._said:
            return
        if len(self._said) < MOST_WANTED:
            self._said.add(path)
        with contextlib.suppress(OSError, ValueError):  # manager.log may be on the same full disk
            sys.stderr.write(
                f"rookery-collector: {path}: a rotated file cannot be compressed, it stays as it is: {why}\n"
            )


class _Job:
    """One file being packed. Takes all descriptors over; part: the plain one, made: what it becomes."""

    __slots__ = ("_exit", "_made", "_part", "_pid", "path")

    def __init__(self, path: str, part: int, made: int, pid: int, exit_fd: int) -> None:
        self.path = path
        self._part = part
        self._made = made
        self._pid = pid
        self._exit = exit_fd

    def fileno(self) -> int:
        """Readable when the process has ended."""
        return self._exit

    def finish(self) -> bool:
        """Put what was made in the place of the file; False: that file has gone or has grown, it was for nothing.

        Raises OSError with the reason for which the process has failed.
        """
        code = self._reap()
        if code < 0 or code == UNKNOWN:
            raise OSError(EIO, f"its process was ended by signal {-code}" if code < 0 else "its process failed")
        if code:
            raise OSError(code, os.strerror(code))
        status = os.fstat(self._part)
        found = next((one for one in chain(self.path) if _is_plain(one) and one.identity == _identity(status)), None)
        if found is None or _unpacked_size(self._made) != status.st_size & 0xFFFFFFFF:
            return False
        with contextlib.suppress(PermissionError):  # only root gives files away
            os.fchown(self._made, status.st_uid, status.st_gid)
        os.fchmod(self._made, stat.S_IMODE(status.st_mode))
        os.utime(self._made, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.rename(temporary(self.path), found.name + PACKED)
        os.unlink(found.name)
        return True

    def kill(self) -> None:
        """End the process and reap it, if it goes in time."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)  # not reaped yet, so it is no other one
        poll = select.poll()
        poll.register(self._exit, select.POLLIN)
        if poll.poll(END_WITHIN * 1000):
            self._reap()

    def close(self) -> None:
        """Let go of everything; the temporary file goes, if it is there still."""
        _forget(temporary(self.path))
        for fd in (self._part, self._made, self._exit):
            os.close(fd)

    def _reap(self) -> int:
        try:
            _, status = os.waitpid(self._pid, 0)
        except ChildProcessError:  # SIGCHLD is ignored: the kernel has reaped it, and the size will tell
            return 0
        return os.waitstatus_to_exitcode(status)


def _begin(path: str) -> _Job | None:
    """Start to pack the oldest plain file of a log; None: it has none. Raises OSError, SpawnError."""
    _forget(temporary(path))  # of a collector that was killed
    parts = [part for part in chain(path) if _is_plain(part)]
    if not parts:
        return None
    fds: list[int] = []
    try:
        fds.append(os.open(parts[-1].name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK))
        status = os.fstat(fds[0])
        if not stat.S_ISREG(status.st_mode):
            return None
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        fds.append(os.open(temporary(path), flags, 0o600))
        pid, exit_fd = _start(fds[0], fds[1], _identity(status))
        job, fds = _Job(path, fds[0], fds[1], pid, exit_fd), []
    finally:
        if len(fds) > 1:
            _forget(temporary(path))
        for fd in fds:
            os.close(fd)
    return job


def _start(part: int, made: int, identity: tuple[int, int]) -> tuple[int, int]:
    """The pid of the process, and what becomes readable when it ends."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    argv = (sys.executable, "-I", "-S", "-c", _CODE, root, *map(str, identity))
    fds = {0: part, 1: made, 2: 2}
    # Without a pidfd: a pipe that nobody writes to, and whose other end goes with the process.
    reading, writing = os.pipe()
    try:
        spawned = spawn_process(SpawnSpec(argv, cwd="/"), fds if kernel.has_pidfd() else {**fds, writing: writing})
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    if spawned.pidfd < 0:
        return spawned.pid, reading
    os.close(reading)
    return spawned.pid, spawned.pidfd


def _is_plain(part: Part) -> bool:
    return part.number >= FIRST and not part.is_packed


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _unpacked_size(fd: int) -> int:
    """What the end of a gzip file tells: the size of its content, modulo 2**32; -1: it is none."""
    size = os.fstat(fd).st_size
    trailer = os.pread(fd, 4, size - 4) if size > 4 else b""
    return struct.unpack("<L", trailer)[0] if len(trailer) == 4 else -1


def _forget(name: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name)
