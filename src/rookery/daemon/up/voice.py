"""One stream of one app, and the place where several of them speak in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rookery.logs.maker import Maker

LONGEST = 256 * 1024
"""A line beyond that is passed on before its end has come; nobody else speaks until then."""


class Mouth:
    """Our stdout or stderr (both, where they are the same). speaker: who is in the middle of a line."""

    __slots__ = ("fd", "speaker")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.speaker: Voice | None = None


class Voice:
    """Makes of what an app writes what we write. prefix: before each line; maker: makes what comes after it."""

    __slots__ = ("_maker", "_pending", "_prefix", "has_ended", "mouth")

    def __init__(self, mouth: Mouth, prefix: bytes, maker: Maker | None) -> None:
        self.mouth = mouth
        self.has_ended = False
        self._prefix = prefix
        self._maker = maker
        self._pending = bytearray()

    def hear(self, data: bytes) -> None:
        """The app has written."""
        self._pending += data

    @property
    def must_wait(self) -> bool:
        """Whether there is something to say while another one's line is unfinished."""
        return bool(self._cut()) and self.mouth.speaker not in (None, self)

    def take(self) -> bytes:
        """What is to be written now: whole lines, pieces of one that is too long, and at the end all that is left."""
        cut = self._cut()
        data = bytes(self._pending[:cut])
        del self._pending[:cut]
        is_begun = self.mouth.speaker is self
        text = self._dressed(data, is_begun=is_begun) if data else b""
        is_open = not data.endswith(b"\n") if data else is_begun
        if is_open and self.has_ended:
            text += self.break_off()
            is_open = False
        if is_open:
            self.mouth.speaker = self
        elif is_begun:
            self.mouth.speaker = None
        return text

    def interrupt(self) -> bytes:
        """End the line of whoever is in the middle of one; what is to be written for it."""
        speaker, self.mouth.speaker = self.mouth.speaker, None
        return speaker.break_off() if speaker is not None else b""

    def break_off(self) -> bytes:
        """What ends the line that is begun; its rest is another line."""
        return (self._maker.end() if self._maker is not None else b"") or b"\n"

    def _cut(self) -> int:
        """How much of what is pending may be written."""
        end = self._pending.rfind(b"\n") + 1
        if self.has_ended or (not end and (self.mouth.speaker is self or len(self._pending) > LONGEST)):
            return len(self._pending)
        return end

    def _dressed(self, data: bytes, *, is_begun: bool) -> bytes:
        text = data if self._maker is None else self._maker.make(data)
        if not self._prefix:
            return text
        body = text[:-1] if text.endswith(b"\n") else text
        body = body.replace(b"\n", b"\n" + self._prefix) + text[len(body) :]
        return body if is_begun else self._prefix + body
