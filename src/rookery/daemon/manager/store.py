"""The state file: written on every change, atomically, away from the event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING

import msgspec

from rookery import errors
from rookery._base import atomic
from rookery.apps.state import VERSION, SavedState

if TYPE_CHECKING:
    from collections.abc import Callable

_TOGETHER = 0.05
_REST = 4.0
"""Times as long as the last write took is waited before the next: a large state takes a fifth of our time at most."""
_LONGEST_REST = 2.0
_RETRY = 1.0
"""Seconds until a failed write is tried again."""
_log = logging.getLogger(__name__)


class Store:
    """Writes what snapshot() returns to path. Changes within 50 ms go together, more where writing takes long; save()
    waits for nothing but a write that goes on. One event loop.

    saved: called when a snapshot is on disk. Until release() nothing is written: a state that is still being read
    back would overwrite what it is read from. may_write: asked before each write (the lease may be another's by now).
    """

    def __init__(
        self,
        path: str,
        snapshot: Callable[[], SavedState],
        *,
        saved: Callable[[], None] = lambda: None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._path = path
        self._snapshot = snapshot
        self._saved = saved
        self._may_write = may_write
        self._is_released = False
        self._is_closed = False
        self._changes = 0
        self._on_disk = 0
        """Up to which change the last good write was."""
        self._took = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.problem = ""
        """Why the last write failed, or "". What was saved before is still whole then."""

    def release(self) -> None:
        """The state is complete; write from now on."""
        self._is_released = True
        self.changed()

    def changed(self) -> None:
        """Something changed; write it soon."""
        self._changes += 1
        self._plan(max(_TOGETHER, min(_REST * self._took, _LONGEST_REST)))

    def _plan(self, delay: float) -> None:
        if self._timer is None and not self._is_closed:
            self._timer = asyncio.get_running_loop().call_later(delay, self._due)

    def _due(self) -> None:
        self._timer = None
        self._begin()

    def _begin(self) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._write(self._changes))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def save(self) -> None:
        """Write what there is now, if it is not on disk already, and return when it is. A full disk is noted.

        The write goes on when the caller is cancelled: two at once would write into the same file.
        """
        await asyncio.shield(self._begin())

    async def _write(self, wanted: int) -> None:
        async with self._writing:
            # A write that began after what is wanted had changed holds it: many who wait share one.
            if self._on_disk >= wanted or not self._is_released or not self._may_write():
                return
            loop = asyncio.get_running_loop()
            began, changes = loop.time(), self._changes
            data = msgspec.json.encode(self._snapshot())
            try:
                await asyncio.to_thread(write, self._path, data)
            except OSError as error:
                self._plan(_RETRY)
                if not self.problem:
                    _log.error("the state cannot be saved: %s", error)
                self.problem = f"the state cannot be saved: {error}"
            else:
                self.problem = ""
                self._on_disk = changes
                self._saved()
            self._took = loop.time() - began

    async def close(self) -> None:
        """Write what is left, and nothing from then on."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(*self._tasks)
        await self.save()
        self._is_released = False


def write(path: str, data: bytes) -> None:
    """Replace the file whole: the old one becomes .bak, and a crash at any point leaves one that can be read."""
    atomic.replace(path, data, keep_backup=True)


def load(path: str) -> SavedState | None:
    """The saved state; None where there is none. A file that cannot be read is set aside, never overwritten.

    Falls back to the .bak of the write before. Raises ConfigError for a file of a later version.
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
                raise errors.ConfigError(
                    f"it is of version {version}, this rookery knows versions up to {VERSION}",
                    file=candidate,
                    hint="use the newer rookery, or another home",
                )
            return msgspec.json.decode(data, type=SavedState)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            aside = f"{candidate}.unreadable-{int(time.time())}"
            os.replace(candidate, aside)
            _log.error("%s cannot be read (%s); it is kept as %s", candidate, error, aside)
    return None
