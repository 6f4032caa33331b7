"""A file as the place where processes keep something together."""

from __future__ import annotations

import inspect
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from rookery._base.clock import SystemClock
from rookery.errors import LockTimeout
from rookery.ipc.state_codecs import codec as codec_of
from rookery.ipc.state_disk import Disk, Unreadable
from rookery.ipc.state_lock import PathLock
from rookery.ipc.state_thread import to_its_end
from rookery.ipc.state_watch import FileEar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from rookery._base.clock import Clock
    from rookery.ipc.state_codecs import Codec


class StateFile:
    """A value in a file that any number of processes and threads read, replace, change and watch.

    path: a link is followed once, now. codec: "json", "bytes", or an object with encode and decode. default: what
    read() gives where there is no file. max_size: bytes (16 MiB). lock_timeout: seconds to wait for other writers (10).
    mode: of a new file; one that is there keeps its own.

    Readers never wait and never see half a file; writers take turns by a lock on ``path.lock``, which a killed process
    does not keep. After a crash the file is whole, the old one or the new one. Methods block for about a millisecond,
    or until the lock is free; in an event loop take those that end in _async, which hold up nothing else there and may
    be cancelled: what is being written then is written first. All raise OSError.
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
        self._disk = Disk(self.path, codec_of(codec), default, max_size, mode)
        self._lock_timeout = lock_timeout
        self._lock = PathLock(f"{self.path}.lock")

    def read(self) -> Any:
        """The value, or (a copy of) the default where there is no file.

        Raises FileDamaged for what is not to be read; the file stays, and what it holds is kept as ``path.damaged``.
        """
        try:
            return self._disk.read()
        except Unreadable as what:
            raise self._disk.damaged(what, self._kept(what)) from what

    async def read_async(self) -> Any:
        """See read()."""
        return await self._or_damaged(self._disk.read)

    def write(self, value: Any) -> None:
        """Replace the value. Raises UsageError for what is too large or not for this codec, LockTimeout."""
        data = self._disk.encode(value)
        with self.lock():
            self._disk.replace(data)

    async def write_async(self, value: Any) -> None:
        """See write(). The value is taken as it is now."""
        data = self._disk.encode(value)
        async with self.lock_async():
            await to_its_end(partial(self._disk.replace, data))

    def update(self, change: Callable[[Any], Any]) -> Any:
        """Read, replace by what change(value) returns, and return that; nobody writes in between.

        Nothing is written where change raises. Raises FileDamaged, UsageError, LockTimeout.
        """
        with self.lock():
            value = change(self.read())
            self._disk.replace(self._disk.encode(value))
        return value

    async def update_async(self, change: Callable[[Any], Any]) -> Any:
        """See update(). change runs in the event loop, and may be a coroutine function."""
        async with self.lock_async():
            value = change(await self.read_async())
            if inspect.isawaitable(value):
                value = await value
            await to_its_end(partial(self._disk.replace, self._disk.encode(value)))
        return value

    def lock(self, timeout: float | None = None) -> AbstractContextManager[None]:
        """Keep other writers out for the length of a ``with`` block; this thread (or task) may write in it.

        timeout: seconds, lock_timeout if left out. Raises LockTimeout.
        """
        return self._lock.held(self._lock_timeout if timeout is None else timeout)

    def lock_async(self, timeout: float | None = None) -> AbstractAsyncContextManager[None]:
        """See lock(); for ``async with``, in which this task may write."""
        return self._lock.held_async(self._lock_timeout if timeout is None else timeout)

    def changes(self, *, poll: float = 0.25, clock: Clock | None = None) -> AsyncIterator[Any]:
        """Each new value from this call on (``async for``); several quick changes may be one. The default when removed.

        poll: seconds between looks where the system has no inotify. Raises FileDamaged.
        """
        return self._changes(self._disk.load(), FileEar(self.path, poll, clock or SystemClock()))

    async def _changes(self, seen: bytes | None, ear: FileEar) -> AsyncIterator[Any]:
        try:
            while True:
                ear.listen()
                data = await to_its_end(self._disk.load)
                if data != seen:
                    seen = data
                    yield await self._or_damaged(partial(self._disk.decode, data))
                else:
                    await ear.wait()
        finally:
            ear.close()

    async def _or_damaged(self, read: Callable[[], Any]) -> Any:
        try:
            return await to_its_end(read)
        except Unreadable as error:
            what = error
        place = ""
        try:
            async with self.lock_async():
                place = await to_its_end(partial(self._disk.keep, what.data))
        except (OSError, LockTimeout):
            pass
        raise self._disk.damaged(what, place) from what

    def _kept(self, what: Unreadable) -> str:
        try:
            with self.lock():
                return self._disk.keep(what.data)
        except (OSError, LockTimeout):
            return ""
