"""The last of what a process has written."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from typing import Any

from rookery.process.stdio import DISCARD, STDOUT, Tee, tee

_MOST = 8192


class Tail:
    """Keeps the last ``most`` bytes of what take() is given."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._size = 0
        self._chunks: deque[bytes] = deque()

    def take(self, data: bytes) -> None:
        """More bytes."""
        piece = data[-self._most :]
        self._chunks.append(piece)
        self._size += len(piece)
        while self._size - len(self._chunks[0]) >= self._most:
            self._size -= len(self._chunks.popleft())

    @property
    def text(self) -> str:
        """What is kept, as text."""
        return b"".join(self._chunks)[-self._most :].decode("utf-8", "replace")

    def lines(self, most: int = 10) -> list[str]:
        """The last lines, without empty ones at the end."""
        return self.text.rstrip().splitlines()[-most:]


def pass_on(data: bytes, fd: int = 2) -> None:
    """Write to our stderr or stdout. Where it is closed or full the words are lost: they must not end who said them."""
    rest = memoryview(data)
    with suppress(OSError):
        while rest:
            rest = rest[os.write(fd, rest) :]


def with_tail(target: Any, tail: Tail) -> Any:
    """An output that goes where it went, and into a tail.

    None is our stderr. Files and descriptors are left alone: their bytes do not pass through this process.
    """
    if target is None:
        return tee(pass_on, tail.take)
    if target is DISCARD:
        return tail.take
    if isinstance(target, Tee):
        return tee(*target.targets, tail.take)
    if target is STDOUT or isinstance(target, int | str) or hasattr(target, "__fspath__"):
        return target
    if hasattr(target, "fileno") and not callable(target):
        return target
    return tee(target, tail.take)
