"""The state file: written on every change, atomically, away from the event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING

import msgspec

from rookery import errors
from rookery.apps.state import VERSION, SavedState

if TYPE_CHECKING:
    from collections.abc import Callable

_TOGETHER = 0.05
_TRY_AGAIN = 2.0
_log = logging.getLogger(__name__)


class Store:
    """Writes what snapshot() returns to path. Changes within 50 ms go together. One event loop."""

    def __init__(self, path: str, snapshot: Callable[[], SavedState]) -> None:
        self._path = path
        self._snapshot = snapshot
        self._dirty = False
        self._timer: asyncio.TimerHandle | None = None
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.problem = ""
        """Why the last write failed, or "". What was saved before is still whole then."""
        self._is_frozen = False
        self._is_closing = False

    def freeze(self) -> None:
        """Write no more: another manager has the file, or what is seen from here is not the truth any longer."""
        self._is_frozen = True

    def changed(self) -> None:
        """Something changed; write it soon."""
        self._dirty = True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TOGETHER, self._due)

    def _due(self) -> None:
        self._timer = None
        task = asyncio.ensure_future(self.save())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def save(self) -> None:
        """Write what there is now, if it is not on disk already, and return when it is. A full disk is noted."""
        async with self._writing:
            if not self._dirty or self._is_frozen:
                return
            self._dirty = False
            data = msgspec.json.format(msgspec.json.encode(self._snapshot()), indent=1)
            try:
                await asyncio.to_thread(write, self._path, data)
                self.problem = ""
            except OSError as error:
                self._dirty = True
                if self._timer is None and not self._is_closing:
                    self._timer = asyncio.get_running_loop().call_later(_TRY_AGAIN, self._due)
                self.problem = f"the state cannot be saved: {error}"
                _log.error("%s", self.problem)

    async def close(self) -> None:
        """Write what is left."""
        self._is_closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(*self._tasks)
        await self.save()


def write(path: str, data: bytes) -> None:
    """Replace the file whole: the old one becomes .bak, and a crash at any point leaves one that can be read."""
    fresh = f"{path}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    backup = f"{path}.bak"
    try:
        os.link(path, f"{backup}.new")
        os.replace(f"{backup}.new", backup)
    except FileExistsError:
        os.unlink(f"{backup}.new")
    except OSError:  # the first write, or a file system without links
        pass
    os.replace(fresh, path)


def load(path: str) -> SavedState | None:
    """The saved state; None where there is none. A file that cannot be read is set aside, never overwritten.

    Falls back to the .bak of the write before. Raises RookeryError for a file of a later version.
    """
    for candidate in (path, f"{path}.bak"):
        try:
            with open(candidate, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            continue
        try:
            found = msgspec.json.decode(data)
            version = found.get("version") if isinstance(found, dict) else None
            if isinstance(version, int) and version > VERSION:
                raise errors.RookeryError(
                    f"{candidate} is of version {version}",
                    why=f"this rookery knows versions up to {VERSION}",
                    hint="use the newer rookery, or another home",
                )
            return msgspec.json.decode(data, type=SavedState)
        except msgspec.MsgspecError as error:
            aside = f"{candidate}.unreadable-{int(time.time())}"
            os.replace(candidate, aside)
            _log.error("%s cannot be read (%s); it is kept as %s", candidate, error, aside)
    return None
