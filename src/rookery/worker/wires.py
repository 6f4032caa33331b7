"""The ends of sockets that a child inherits."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable


class Wires:
    """taken: numbers that the child uses otherwise. fds: what to give to the child; close() it when it is started."""

    def __init__(self, taken: Iterable[int]) -> None:
        self._lowest = max([2, *taken]) + 1
        self.fds: dict[int, int] = {}

    def add(self, end: socket.socket) -> int:
        """Take an end over; its number in the child. Raises OSError."""
        with end:
            number = fcntl.fcntl(end.fileno(), fcntl.F_DUPFD_CLOEXEC, self._lowest)
        self.fds[number] = number
        return number

    def close(self) -> None:
        """This process needs them no more."""
        while self.fds:
            os.close(self.fds.popitem()[0])
