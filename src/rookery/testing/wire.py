"""The line between a test and the processes that it starts."""

from __future__ import annotations

import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_MOST = 65536


class Wire:
    """stdin and stdout for children of a test.

    They say lines on stdout, which the test waits for; they read stdin to its end and so end when the test does.
    Close it, or use it in a ``with`` block.
    """

    def __init__(self) -> None:
        self.stdin, self._hold = os.pipe()
        self._out, self.stdout = os.pipe()
        self._read = b""

    @property
    def fds(self) -> dict[int, int]:
        """As SpawnSpec.fds wants them; stderr is ours."""
        return {0: self.stdin, 1: self.stdout, 2: 2}

    def line(self, deadline: float = 20.0) -> str:
        """The next line that any child said. deadline: seconds. Raises AssertionError."""
        end = time.monotonic() + deadline
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._out], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"no line came within {deadline:g} s; the beginning of one: {self._read!r}")
            self._read += os.read(self._out, _MOST)
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def release(self) -> None:
        """The children's stdin ends."""
        if self._hold >= 0:
            os.close(self._hold)
            self._hold = -1

    def close(self) -> None:
        """Let everything go."""
        self.release()
        for fd in (self.stdin, self.stdout, self._out):
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def python(code: str, *args: object) -> tuple[str, ...]:
    """The command that runs code in this interpreter, isolated and with the standard library only."""
    return (sys.executable, "-I", "-S", "-c", code, *map(str, args))
