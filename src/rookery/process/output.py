"""A child's output as it comes: bytes, text, lines; with back-pressure, and never in the child's way for ever."""

from __future__ import annotations

import codecs
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rookery.errors import UsageError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Iterator

    from rookery.process.reader import PipeReader

Text = TypeVar("Text", str, bytes)
_PATIENCE = 1.0
"""Seconds that a child waits for a reader who has not come yet."""


class OutputStream(Generic[Text]):
    """A child's stdout or stderr. Iterating it gives lines without their newline, however long they are.

    Text, or bytes where the child's encoding is None. As long as somebody reads, the child waits for him when
    ``buffer`` bytes are there. Where nobody reads (yet, or not any more after a loop that was left), it waits one
    second, then the oldest output is dropped, and counted in ``dropped``. Who uses read() is always waited for.
    One reader at a time. Cancelling a read loses nothing.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, encoding: str | None, errors: str, buffer: int) -> None:
        self.dropped = 0
        self._loop = loop
        self._buffer = buffer
        self._decoder: Any = codecs.getincrementaldecoder(encoding)(errors) if encoding is not None else None
        self._nothing: Any = b"" if encoding is None else ""
        self._newline: Any = b"\n" if encoding is None else "\n"
        self._reader: PipeReader | None = None
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._is_ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._user: object | None = None
        self._is_pulled = False
        self._drops = False
        self._timer: asyncio.TimerHandle | None = None
        # Of an iteration that was left: lines not yet given, and the beginning of the one after them.
        self._lines: Iterator[Any] = iter(())
        self._open: list[Any] = []

    # -- for whoever reads ----------------------------------------------------------------------------------------

    @property
    def is_ended(self) -> bool:
        """Whether everything has come and was read."""
        return self._is_ended and not self._chunks

    def __aiter__(self) -> AsyncIterator[Text]:
        return self.iter_lines()

    async def iter_lines(self) -> AsyncIterator[Text]:
        """Lines without their newline; the last one also where it has none."""
        user = self._enter()
        try:
            newline: Any = self._newline
            held: list[Any] = self._open
            rest = self._take_back()
            if rest:
                *lines, last = rest.split(newline)
                self._lines = iter(lines)
                held.append(last)
            while True:
                for line in self._lines:
                    yield line
                piece = await self._piece()
                if not piece:
                    break
                lines = piece.split(newline)
                if len(lines) == 1:
                    held.append(piece)
                    continue
                if held:
                    lines[0] = self._nothing.join([*held, lines[0]])
                    held.clear()
                if lines[-1]:
                    held.append(lines[-1])
                del lines[-1]
                self._lines = iter(lines)
            if held:
                line = self._nothing.join(held)
                held.clear()
                yield line
        finally:
            self._leave(user)

    async def iter_chunks(self) -> AsyncIterator[Text]:
        """Pieces as they come."""
        user = self._enter()
        try:
            while piece := self._take_back() or await self._piece():
                yield piece
        finally:
            self._leave(user)

    async def read(self, most: int = -1) -> Text:
        """The next piece, ``most`` characters or bytes at the utmost; everything to the end for -1.

        Empty at the end. Once somebody reads in this way the child always waits for him.
        """
        user = self._enter()
        self._is_pulled = True
        pieces = []
        try:
            while piece := self._take_back() or await self._piece():
                pieces.append(piece)
                if most >= 0:
                    break
        except BaseException:  # nothing is lost
            self._open[:0] = pieces
            raise
        finally:
            self._leave(user)
        whole: Any = self._nothing.join(pieces)
        if 0 <= most < len(whole):
            self._open.insert(0, whole[most:])
            whole = whole[:most]
        return whole  # type: ignore[no-any-return]

    def _enter(self) -> object:
        if self._waiter is not None:
            raise UsageError("somebody else is reading this stream", hint="tee() it to several, or share the lines")
        # A loop that was left may not know it yet: it is closed in the event loop's next turn.
        user = self._user = object()
        self._drops = False
        self._disarm()
        self._maybe_resume()
        return user

    def _leave(self, user: object) -> None:
        if self._user is user:
            self._user = None
            self._maybe_pause()

    def _take_back(self) -> Any:
        """What an iteration by lines had taken and not given."""
        lines: list[Any] = list(self._lines)
        whole = self._newline.join([*lines, self._nothing.join(self._open)]) if lines or self._open else self._nothing
        self._open.clear()
        return whole

    async def _piece(self) -> Any:
        """The next bytes, decoded; nothing at the end."""
        while True:
            while not self._chunks:
                if self._is_ended:
                    return self._flush()
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            chunk = self._chunks.popleft()
            self._held -= len(chunk)
            self._maybe_resume()
            if self._decoder is None:
                return chunk
            text = self._decoder.decode(chunk)
            if text:
                return text

    def _flush(self) -> Any:
        return self._nothing if self._decoder is None else self._decoder.decode(b"", True)

    # -- for whoever writes ---------------------------------------------------------------------------------------

    def attach(self, reader: PipeReader) -> None:
        """Where the bytes come from."""
        self._reader = reader

    def take(self, data: bytes) -> None:
        """More bytes."""
        self._chunks.append(data)
        self._held += len(data)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._held >= self._buffer:
            self._maybe_pause()

    def end(self) -> None:
        """There will be no more."""
        self._is_ended = True
        self._disarm()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def give_away(self) -> int | None:
        """The pipe itself, for another child to read; None where something was read from it already."""
        if self._reader is None or self._chunks or self._is_ended or self._user or self._open:
            return None
        self._disarm()
        return self._reader.give_away()

    def _maybe_resume(self) -> None:
        if self._held < self._buffer and self._reader is not None:
            self._reader.resume()

    def _maybe_pause(self) -> None:
        if self._held < self._buffer or self._is_ended or self._reader is None:
            return
        if self._drops:
            self._drop()
            return
        self._reader.pause()
        if self._user is None and not self._is_pulled and self._timer is None:
            self._timer = self._loop.call_later(_PATIENCE, self._begin_to_drop)

    def _begin_to_drop(self) -> None:
        self._timer = None
        self._drops = True
        self._drop()

    def _drop(self) -> None:
        while self._held >= self._buffer and self._chunks:
            chunk = self._chunks.popleft()
            self._held -= len(chunk)
            self.dropped += len(chunk)
        self._maybe_resume()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
