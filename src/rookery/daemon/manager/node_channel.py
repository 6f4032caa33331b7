"""What a Node worker says to its manager, line by line, across a change of managers too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from rookery.cluster.node.words import heard

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rookery.cluster.stats import Page

_READ = 65536
_LONGEST = 1024 * 1024
"""Nothing that is ours is longer; what is, is the app's own and nobody's here."""


class NodeChannel:
    """Reads one worker's channel, taken over. on_words: called as for its notify socket. One event loop.

    The manager before may have read half a line: what cannot be read is left out.
    """

    def __init__(self, sock: socket.socket, page: Page | None, on_words: Callable[[dict[str, str]], None]) -> None:
        self._sock = sock
        self._page = page
        self._on_words = on_words
        self._rest = b""
        self._is_reading = True
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock, self._readable)

    @property
    def fd(self) -> int:
        """Our end's descriptor."""
        return self._sock.fileno()

    def _readable(self) -> None:
        try:
            data = self._sock.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._stop()
            return
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest if len(rest) <= _LONGEST else b""
        for line in lines:
            try:
                message = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            words = heard(message, self._page)
            if words:
                self._on_words(words)

    def _stop(self) -> None:
        if self._is_reading:
            self._is_reading = False
            asyncio.get_running_loop().remove_reader(self._sock)

    def close(self) -> None:
        """Hear it no more."""
        self._stop()
        self._sock.close()
