"""The worker's side, blocking: the channel to whoever has forked this process. Imports no asyncio."""

from __future__ import annotations

import os
from typing import Any

from rookery.errors import Disconnected, LinkError, ParentGone
from rookery.ipc.sync_channel import SyncChannel
from rookery.worker import inherited, words
from rookery.worker.beating import ThreadBeat


class SyncWorkerChannel(SyncChannel):
    """The channel to the parent, made by connect(). data: what the parent gave to fork(), or None.

    When the parent has gone, or disconnected, iteration and serve() end; receive(), send() and request() raise
    ParentGone, which ends the program with 0 where nobody takes it. That is seen when the channel is used.
    The parent's heartbeat is answered by a thread, also while this program computes. heartbeat: what is known of the
    parent by it, or None.
    """

    def __init__(self, found: inherited.Inherited) -> None:
        super().__init__(found.sock, codec=found.codec, max_message=found.max_message, name="to the parent")
        self.data: Any = None
        self._is_ours = found.is_ours
        self._is_closed_here = False
        self._exits = True
        self._has_said_ready = False
        self.heartbeat = None if found.heartbeat is None else ThreadBeat(found.heartbeat, found.limit)

    def greet(self, *, exit_on_disconnect: bool | None) -> None:
        """Take the parent's welcome; Node gives none."""
        exits = True
        if self._is_ours:
            self.data, exits = words.welcomed(self.receive())
        self._exits = exits if exit_on_disconnect is None else exit_on_disconnect

    def ready(self) -> None:
        """Tell the parent that it can begin, where connect(ready=False) did not. Raises Disconnected."""
        if self._is_ours and not self._has_said_ready:
            self._has_said_ready = True
            self.send(words.ready(os.getpid()))

    def close(self) -> None:
        """See SyncChannel: this side leaves, and the process lives on."""
        self._is_closed_here = True
        super().close()

    def _end(self, error: LinkError) -> None:
        super()._end(self._told(error))
        if self.heartbeat is not None:
            self.heartbeat.close()

    def _flush(self) -> None:
        try:
            super()._flush()
        except Disconnected as error:
            raise self._told(error) from None

    def _told(self, error: LinkError) -> LinkError:
        if not self._exits or self._is_closed_here or not isinstance(error, Disconnected):
            return error
        return ParentGone("the parent has gone", why=error.why)


def connect(*, ready: bool = True, exit_on_disconnect: bool | None = None) -> SyncWorkerChannel:
    """The channel to the parent that forked this process, for a worker without an event loop; see channel().

    Raises UsageError where there is no such parent, LinkError, Disconnected.
    """
    opened = SyncWorkerChannel(inherited.take())
    try:
        opened.greet(exit_on_disconnect=exit_on_disconnect)
        if ready:
            opened.ready()
    except BaseException:
        opened.close()
        raise
    return opened
