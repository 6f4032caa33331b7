"""What the apps say, on our own stdout and stderr: whole lines, with a prefix where there are several.

One thread reads all pipes and writes; when whoever reads our output is slow, it waits, the pipes fill and the apps
wait. The event loop that looks after them does not.
"""

from __future__ import annotations

import os
import select
import selectors
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from rookery.daemon.up.voice import Mouth, Voice

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from rookery.logs.maker import Maker

_CHUNK = 64 * 1024
_GRACE = 0.5
PATIENCE = 5.0
"""Seconds to wait for the end of another one's long line."""


class Output:
    """The pipes of all apps. start() before the first app, close() after the last.

    on_unread: called (in the thread) when whoever read our output has left.
    """

    def __init__(self, stdout: IO[bytes], stderr: IO[bytes], on_unread: Callable[[], object]) -> None:
        self._on_unread = on_unread
        out, err = stdout.fileno(), stderr.fileno()
        mouth = Mouth(out)
        self._mouths = {1: mouth, 2: mouth if os.path.sameopenfile(out, err) else Mouth(err)}
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._new: list[tuple[int, Voice]] = []
        self._voices: dict[Voice, int] = {}
        """Each with its pipe; -1 for one that has ended and waits for its turn to say the last of it."""
        self._waiting: dict[Voice, float] = {}
        self._is_told = False
        self._wake, self._waker = os.pipe()
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rookery-output", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._thread.start()

    def pipe(self, number: int, prefix: str, maker: Maker | None = None) -> int:
        """The writing end for a child's descriptor number (1 or 2); the caller closes it after the fork.

        prefix: before each line; maker: makes of lines what comes after it.
        """
        reading, writing = os.pipe()
        with self._lock:
            self._new.append((reading, Voice(self._mouths[number], prefix.encode(), maker)))
        os.write(self._waker, b".")
        return writing

    def close(self, patience: float | None = None) -> None:
        """Pass on what is there, and end. Who holds a pipe open beyond that is not waited for.

        patience: seconds for whoever reads our output to take it; None: as long as it takes.
        """
        self._is_closing.set()
        os.write(self._waker, b".")
        self._thread.join(patience)
        if not self._thread.is_alive():
            os.close(self._waker)
            os.close(self._wake)

    def _run(self) -> None:
        while True:
            is_closing = self._is_closing.is_set()  # asked first: a pipe from before has woken us by then
            ready = self._selector.select(self._timeout())
            for key, _ in ready:
                if key.data is None:
                    self._woken()
                else:
                    self._move(key.data)
            self._turn()
            if is_closing and (not ready or len(self._selector.get_map()) == 1):
                break
        for voice in list(self._voices):
            self._write(voice.mouth, voice.interrupt())
            self._end(voice)
            self._speak(voice)
        self._selector.close()

    def _timeout(self) -> float | None:
        if self._is_closing.is_set():
            return _GRACE
        return max(0.0, min(self._waiting.values()) - time.monotonic()) if self._waiting else None

    def _woken(self) -> None:
        os.read(self._wake, 4096)
        with self._lock:
            new, self._new = self._new, []
        for fd, voice in new:
            self._voices[voice] = fd
            self._selector.register(fd, selectors.EVENT_READ, voice)

    def _move(self, voice: Voice) -> None:
        data = os.read(self._voices[voice], _CHUNK)
        if data:
            voice.hear(data)
        else:
            self._end(voice)
        self._speak(voice)

    def _end(self, voice: Voice) -> None:
        """Nothing comes any more."""
        voice.has_ended = True
        fd, self._voices[voice] = self._voices[voice], -1
        if fd >= 0:
            if voice not in self._waiting:
                self._selector.unregister(fd)
            os.close(fd)

    def _speak(self, voice: Voice) -> None:
        """Say what may be said now; who must wait is not read from meanwhile."""
        if voice.must_wait:
            if voice not in self._waiting:
                self._waiting[voice] = time.monotonic() + PATIENCE
                if self._voices[voice] >= 0:
                    self._selector.unregister(self._voices[voice])
            return
        self._write(voice.mouth, voice.take())
        if voice.has_ended:
            del self._voices[voice]

    def _turn(self) -> None:
        """Let those speak who waited for the end of a line, or have waited long enough."""
        for voice, until in list(self._waiting.items()):
            if voice.must_wait and time.monotonic() >= until:
                self._write(voice.mouth, voice.interrupt())
            if not voice.must_wait:
                del self._waiting[voice]
                if self._voices[voice] >= 0:
                    self._selector.register(self._voices[voice], selectors.EVENT_READ, voice)
                self._speak(voice)

    def _write(self, mouth: Mouth, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(mouth.fd, view) :]
            except BlockingIOError:  # somebody who shares it with us has made it so
                select.select([], [mouth.fd], [])
            except BrokenPipeError:
                self._on_unread()
                return
            except OSError as error:  # a full disk behind us: the apps go on
                self._tell(error)
                return

    def _tell(self, error: OSError) -> None:
        """Say once that output is lost."""
        if not self._is_told:
            self._is_told = True
            with suppress(OSError):  # stderr may be the same file
                text = f"rook: the output cannot be written, lines are dropped: {error.strerror}\n"
                os.write(self._mouths[2].fd, text.encode())
