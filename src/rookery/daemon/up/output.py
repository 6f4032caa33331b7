"""What the apps say, on our own stdout and stderr, with a prefix where there are several.

One thread reads all pipes and writes; when whoever reads our output is slow, it waits, the pipes fill and the apps
wait. The event loop that looks after them does not.
"""

from __future__ import annotations

import os
import selectors
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

_CHUNK = 64 * 1024
_LONGEST = 1024 * 1024
"""A line beyond that is passed on in pieces, each with its prefix."""
_GRACE = 0.5


class _Stream(NamedTuple):
    fd: int
    to: int
    prefix: bytes
    pending: bytearray


class Output:
    """The pipes of all apps. start() before the first app, close() after the last.

    on_unread: called (in the thread) when whoever read our output has left.
    """

    def __init__(self, stdout: IO[bytes], stderr: IO[bytes], on_unread: Callable[[], object]) -> None:
        self._on_unread = on_unread
        self._to = {1: stdout.fileno(), 2: stderr.fileno()}
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._new: list[_Stream] = []
        self._wake, self._waker = os.pipe()
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rookery-output", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._thread.start()

    def pipe(self, number: int, prefix: str) -> int:
        """The writing end for a child's descriptor number (1 or 2); the caller closes it after the fork."""
        reading, writing = os.pipe()
        with self._lock:
            self._new.append(_Stream(reading, self._to[number], prefix.encode(), bytearray()))
        os.write(self._waker, b".")
        return writing

    def close(self) -> None:
        """Pass on what is there, and end. Who holds a pipe open beyond that is not waited for."""
        self._is_closing.set()
        os.write(self._waker, b".")
        self._thread.join(_GRACE * 10)
        os.close(self._waker)
        os.close(self._wake)

    def _run(self) -> None:
        while True:
            ready = self._selector.select(_GRACE if self._is_closing.is_set() else None)
            if self._is_closing.is_set() and (not ready or len(self._selector.get_map()) == 1):
                break
            for key, _ in ready:
                if key.data is None:
                    self._woken()
                else:
                    self._move(key.data)
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                self._end(key.data)
        self._selector.close()

    def _woken(self) -> None:
        os.read(self._wake, 4096)
        with self._lock:
            new, self._new = self._new, []
        for stream in new:
            self._selector.register(stream.fd, selectors.EVENT_READ, stream)

    def _move(self, stream: _Stream) -> None:
        data = os.read(stream.fd, _CHUNK)
        if not data:
            self._end(stream)
            return
        if not stream.prefix:
            self._write(stream.to, data)
            return
        stream.pending.extend(data)
        end = stream.pending.rfind(b"\n") + 1
        if not end and len(stream.pending) > _LONGEST:
            end = len(stream.pending)
        if end:
            lines = bytes(stream.pending[:end])
            del stream.pending[:end]
            body = lines[:-1] if lines.endswith(b"\n") else lines
            self._write(stream.to, stream.prefix + body.replace(b"\n", b"\n" + stream.prefix) + b"\n")

    def _end(self, stream: _Stream) -> None:
        if stream.pending:
            self._write(stream.to, stream.prefix + bytes(stream.pending) + b"\n")
        self._selector.unregister(stream.fd)
        os.close(stream.fd)

    def _write(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BrokenPipeError:
                self._on_unread()
                return
            except OSError:  # a full disk behind us: the apps go on
                return
