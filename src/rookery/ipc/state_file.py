"""A file as the place where processes keep something together."""

from __future__ import annotations

import copy
import os
import stat
from typing import TYPE_CHECKING, Any

from rookery._base import atomic
from rookery._base.clock import SystemClock
from rookery.errors import FileDamaged, LockTimeout, UsageError
from rookery.ipc.state_codecs import codec as codec_of
from rookery.ipc.state_lock import PathLock
from rookery.ipc.state_watch import FileEar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from rookery._base.clock import Clock
    from rookery.ipc.state_codecs import Codec


class StateFile:
    """A value in a file that any number of processes and threads read, replace, change and watch.

    path: a link is followed once, now. codec: "json", "bytes", or an object with encode and decode. default: what
    read() gives where there is no file. max_size: bytes (16 MiB). lock_timeout: seconds to wait for other writers (10).
    mode: of a new file; one that is there keeps its own.

    Readers never wait and never see half a file; writers take turns by a lock on ``path.lock``, which a killed process
    does not keep. After a crash the file is whole, the old one or the new one. Methods block for about a millisecond,
    or until the lock is free: in an event loop call them by asyncio.to_thread(). All raise OSError.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        codec: str | Codec = "json",
        default: Any = None,
        max_size: int = 16 * 1024 * 1024,
        lock_timeout: float = 10.0,
        mode: int = 0o600,
    ) -> None:
        self.path = os.path.realpath(path)
        self._codec = codec_of(codec)
        self._default = default
        self._max_size = max_size
        self._lock_timeout = lock_timeout
        self._mode = mode
        self._lock = PathLock(f"{self.path}.lock")

    def read(self) -> Any:
        """The value, or (a copy of) the default where there is no file.

        Raises FileDamaged for what is not to be read; the file stays, and what it holds is kept as ``path.damaged``.
        """
        return self._decode(self._bytes())

    def write(self, value: Any) -> None:
        """Replace the value. Raises UsageError for what is too large or not for this codec, LockTimeout."""
        data = self._encode(value)
        with self.lock():
            self._replace(data)

    def update(self, change: Callable[[Any], Any]) -> Any:
        """Read, replace by what change(value) returns, and return that; nobody writes in between.

        Nothing is written where change raises. Raises FileDamaged, UsageError, LockTimeout.
        """
        with self.lock():
            value = change(self.read())
            self._replace(self._encode(value))
        return value

    def lock(self, timeout: float | None = None) -> AbstractContextManager[None]:
        """Keep other writers out for the length of a ``with`` block; this thread may write in it.

        timeout: seconds, lock_timeout if left out. Raises LockTimeout.
        """
        return self._lock.held(self._lock_timeout if timeout is None else timeout)

    def changes(self, *, poll: float = 0.25, clock: Clock | None = None) -> AsyncIterator[Any]:
        """Each new value from this call on (``async for``); several quick changes may be one. The default when removed.

        poll: seconds between looks where the system has no inotify. Raises FileDamaged.
        """
        return self._changes(self._bytes(), FileEar(self.path, poll, clock or SystemClock()))

    async def _changes(self, seen: bytes | None, ear: FileEar) -> AsyncIterator[Any]:
        try:
            while True:
                ear.listen()
                data = self._bytes()
                if data != seen:
                    seen = data
                    yield self._decode(data)
                else:
                    await ear.wait()
        finally:
            ear.close()

    def _bytes(self) -> bytes | None:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe in its place blocks nobody
        except FileNotFoundError:
            return None
        with open(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise FileDamaged(self.path, "it is no plain file")
            data = file.read(self._max_size + 1)
        if len(data) > self._max_size:
            raise FileDamaged(self.path, f"it has {found.st_size} bytes, allowed are {self._max_size}")
        return data

    def _decode(self, data: bytes | None) -> Any:
        if data is None:
            return copy.deepcopy(self._default)
        try:
            return self._codec.decode(data)
        except Exception as error:
            raise FileDamaged(self.path, str(error), copy=self._keep(data)) from error

    def _keep(self, data: bytes) -> str:
        place = f"{self.path}.damaged"
        try:
            with self.lock():
                atomic.replace(place, data)
        except (OSError, LockTimeout):
            return ""
        return place

    def _encode(self, value: Any) -> bytes:
        data = self._codec.encode(value)
        if len(data) > self._max_size:
            raise UsageError(
                f"the value has {len(data)} bytes, {self.path} takes {self._max_size}",
                hint="give StateFile a larger max_size",
            )
        return data

    def _replace(self, data: bytes) -> None:
        try:
            mode = stat.S_IMODE(os.stat(self.path).st_mode)
        except FileNotFoundError:
            mode = self._mode
        atomic.replace(self.path, data, mode=mode)
