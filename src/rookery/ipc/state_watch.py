"""Hearing that a file has changed: from the kernel where it can tell, else by looking from time to time."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from rookery._os import inotify

if TYPE_CHECKING:
    from rookery._base.clock import Clock


class FileEar:
    """Tells when it is worth while to look at a file again. One event loop; close() it.

    The folder is watched, not the file: a replaced file is another one. poll: seconds between two looks where the
    system has no inotify, no watches are left, or the folder is not there (yet).
    """

    def __init__(self, path: str, poll: float, clock: Clock) -> None:
        self._folder, self._name = os.path.split(path)
        self._poll = poll
        self._clock = clock
        self._fd = -1

    def listen(self) -> None:
        """From now on nothing is missed. Look at the file after this."""
        if self._fd < 0 and inotify.available():
            try:
                self._fd = inotify.watch(self._folder)
            except OSError:
                self._fd = -1

    async def wait(self) -> None:
        """Until the file may have changed."""
        if self._fd < 0:
            await self._clock.sleep(self._poll)
            return
        loop = asyncio.get_running_loop()
        while True:
            heard = asyncio.Event()
            loop.add_reader(self._fd, heard.set)
            try:
                await heard.wait()
            finally:
                loop.remove_reader(self._fd)
            try:
                names = inotify.names(self._fd)
            except inotify.FolderGone:
                self.close()
                return
            if names is None or self._name in names:
                return

    def close(self) -> None:
        """Hear no more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
