"""A worker as the acceptor sees it: the stream to it, and how much it has."""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING

from rookery.cluster import stats
from rookery.cluster.acceptor import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.cluster.acceptor.accepting import Connection


class Lane:
    """sock, page: taken over; passed: connections it was passed so far.

    connections, waiting, stalled: see Candidate and Taker; as of the last look(), and what was chosen for it since.
    """

    __slots__ = (
        "_moved",
        "_page",
        "_taken",
        "chosen",
        "connections",
        "id",
        "is_full",
        "passed",
        "slot",
        "sock",
        "stalled",
        "waiting",
    )

    def __init__(self, slot: int, id: int, sock: socket.socket, page: stats.Page, passed: int = 0) -> None:  # noqa: A002
        self.slot = slot
        self.id = id
        self.sock = sock
        self.passed = passed
        self.is_full = False
        self.chosen: list[Connection] = []
        self.stalled = 0.0
        self._page = page
        self._taken, self._moved = 0, 0.0
        sock.setblocking(False)
        self.look(monotonic())

    def look(self, now: float) -> None:
        """Read what the worker says. The numbers of its page only grow, so none can be seen at an odd moment."""
        closed, taken = self._page.words[stats.CLOSED], self._page.words[stats.ACCEPTED]
        self.passed = max(self.passed, taken)
        self.connections = self.passed - closed
        self.waiting = self.passed - taken
        if not self.waiting or taken != self._taken:
            self._taken, self._moved = taken, now
        self.stalled = now - self._moved

    def choose(self, connection: Connection) -> None:
        """It is to get this one with the next flush()."""
        self.chosen.append(connection)
        self.connections += 1
        self.waiting += 1

    def flush(self) -> None:
        """Pass what was chosen for it. Raises OSError, BlockingIOError where it is full; the rest stays chosen."""
        while self.chosen:
            some = self.chosen[: wire.MOST]
            wire.send(self.sock, bytes([one.mark for one in some]), [one.fd for one in some])
            del self.chosen[: wire.MOST]
            self.passed += len(some)
            for one in some:
                one.close()

    def take_back(self) -> Sequence[Connection]:
        """What was chosen for it and did not go."""
        left, self.chosen = self.chosen, []
        return left

    def has_ended(self) -> bool:
        """Whether its worker has gone, all copies of the other end with it."""
        try:
            return not self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Let go of it."""
        self.sock.close()
        self._page.close()
