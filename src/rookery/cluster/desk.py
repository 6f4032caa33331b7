"""What all workers of a cluster share in the parent: listening sockets, ids, who starts processes."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from rookery.process.guard import GUARD
from rookery.process.local import LocalSpawner
from rookery.process.notify import make_socket

if TYPE_CHECKING:
    import socket

    from rookery._base.clock import Clock
    from rookery.cluster.acceptor.passing import Passing
    from rookery.cluster.sockets import Listeners
    from rookery.process.protocols import Spawner


class Desk:
    """listeners: taken over; spawner: who starts workers; scope: for their cookies, by which the guardian knows them.

    What is opened here is closed by close().
    """

    def __init__(self, name: str, listeners: Listeners, clock: Clock) -> None:
        self.name = name
        self.listeners = listeners
        self.clock = clock
        self.spawner: Spawner = LocalSpawner()
        self.passing: Passing | None = None
        """Who accepts for the workers, where they do not accept themselves."""
        self.scope = GUARD.scope
        self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._token = os.urandom(4).hex()
        self._ids = itertools.count(1)
        self._units = itertools.count(1)
        self._folder = ""

    def next_id(self) -> int:
        """The id of the next worker."""
        return next(self._ids)

    def next_key(self, slot: int) -> str:
        """A name for one more unit of a slot; old and new are two of them."""
        return f"{self.name}-{slot}-{self._token}-{next(self._units)}"

    def notify_socket(self, number: int) -> tuple[socket.socket, str]:
        """The socket on which one worker says that it is ready, and its address."""
        name, owner = str(number), f"{self.scope}-{self._token}"
        if not self._folder:
            try:
                return make_socket("", name, owner, None)
            except OSError:  # there are no names but those of files here
                self._folder = tempfile.mkdtemp(prefix="rookery-")
        return make_socket(self._folder, name, owner, None)

    def close(self) -> None:
        """No worker is left."""
        if self.passing is not None:
            self.passing.close()
        self.listeners.close()
        if self.null >= 0:
            os.close(self.null)
            self.null = -1
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""
