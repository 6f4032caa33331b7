"""A process that was started by somebody who is gone: watched, not waited for.

Its exit status is not ours to have: wait() says that it ended, not how.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from rookery._os import kernel
from rookery.lifecycle.exit import ExitStatus

if TYPE_CHECKING:
    from rookery._base.clock import Clock

_LOOK_EVERY = 0.25


class AdoptedHandle:
    """A process by (pid, start time); see Handle. It may have ended already. One event loop."""

    def __init__(self, pid: int, start_time: int, clock: Clock) -> None:
        self.pid = pid
        self.start_time = start_time
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[ExitStatus] = self._loop.create_future()
        self._pidfd = -1
        self._poll: asyncio.Task[None] | None = None
        self._watch()

    def _watch(self) -> None:
        if kernel.has_pidfd():
            try:
                self._pidfd = kernel.pidfd_open(self.pid)
            except OSError:
                self._pidfd = -1
        # Compared after the open: from here on the descriptor is that process, or it is too late for any.
        if not kernel.is_alive(self.pid, self.start_time):
            self._ended()
        elif self._pidfd >= 0:
            self._loop.add_reader(self._pidfd, self._ended)
        else:
            self._poll = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        while kernel.is_alive(self.pid, self.start_time):
            await self._clock.sleep(_LOOK_EVERY)
        self._ended()

    def _ended(self) -> None:
        self._let_go()
        if not self._exit.done():
            self._exit.set_result(ExitStatus())

    def _let_go(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    async def wait(self) -> ExitStatus:
        """See Handle."""
        return await asyncio.shield(self._exit)

    def signal(self, number: int) -> bool:
        """See Handle."""
        return not self._exit.done() and kernel.signal_process(self.pid, self.start_time, number)

    def close(self) -> None:
        """See Handle."""
        self._let_go()
        if self._poll is not None:
            self._poll.cancel()
