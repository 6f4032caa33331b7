"""Which requests are looked at closely: all where there are few, some of the others where there are many.

Standing around an app costs a tenth and more of what a small request takes, so a busy worker looks at a few connections
in each beat, others in the next. What is counted exactly (requests, failures) needs no such look.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

FEW = 50
"""Requests in a beat: up to so many all of them are looked at."""
_CONNECTIONS = 3
_NEW = 10


class Sampling:
    """measured: the app with all that stands around it; plain: without. One event loop.

    always: look at every request.
    """

    def __init__(self, plain: Any, measured: Any, *, always: bool) -> None:
        self._plain = plain
        self._measured = measured
        self._always = always
        self._is_thorough = True
        self._chosen: list[Any] = []
        self._new = 0
        self._seen = 0

    def begin(self, protocol: Any) -> None:
        """A connection is made."""
        if self._is_thorough or self._new:
            self._new -= 1
            protocol.app = self._measured
        else:
            protocol.app = self._plain

    def all(self, connections: Collection[Any]) -> None:
        """From now on every request is looked at."""
        self._always = self._is_thorough = True
        _set(connections, self._measured)

    def turn(self, connections: Collection[Any], requests: int) -> None:
        """A beat. requests: how many were answered in all."""
        if self._always:
            return
        now, self._seen = requests - self._seen, requests
        self._new = _NEW
        was_thorough, self._is_thorough = self._is_thorough, now <= FEW
        if self._is_thorough:
            if not was_thorough:
                _set(connections, self._measured)
            return
        _set(connections if was_thorough else self._chosen, self._plain)
        few = min(_CONNECTIONS, len(connections))
        self._chosen = random.sample(tuple(connections), few)
        _set(self._chosen, self._measured)


def _set(connections: Collection[Any], app: Any) -> None:
    for connection in connections:
        if hasattr(connection, "cycle"):  # a websocket keeps what it began with
            connection.app = app
