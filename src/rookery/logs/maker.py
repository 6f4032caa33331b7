"""What a line becomes on its way into the log: as it is, with a time and a name before it, or a JSON object."""

from __future__ import annotations

import json
import time
from codecs import utf_8_decode
from collections import namedtuple

from rookery.logs.levels import LOOK, level_of, levels_in
from rookery.logs.patterns import ISO, compile_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NamedTuple

    class Format(NamedTuple):
        """How lines are written.

        timestamps: a pattern, "" for none (JSON: ISO 8601 then); prefix: a text after the time; json: one object a
        line, the prefix is left out then; app, instance, stream: what the object tells.
        """

        timestamps: str = ""
        prefix: str = ""
        json: bool = False
        app: str = ""
        instance: int = 0
        stream: str = "out"
else:
    Format = namedtuple(  # noqa: PYI024 - typing costs the collector 5 ms of start-up
        "Format", "timestamps prefix json app instance stream", defaults=("", "", False, "", 0, "out")
    )

_CLOSE = b'"}\n'
_BAD = bytes(byte for byte in range(32) if byte != 0x0A) + b'"\\'
_GOOD = bytes(byte for byte in range(256) if byte not in _BAD)
_LEAD = 0xC0
"""From here on a byte begins a character of several."""


class Maker:
    """Makes the lines of one stream into what is written. clock: wall time in seconds.

    make() takes data in any pieces, and all pieces together give the same, but for the times. Lines that come in one
    piece have one and the same time. Raises ValueError for a pattern that is none. Memory: a few times the piece.
    """

    __slots__ = (
        "_clock", "_heads", "_is_open", "_json", "_level", "_pending", "_prefix", "_rest", "_shown", "_stream",
        "_write",
    )  # fmt: skip

    def __init__(self, form: Format, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._json = form.json
        self._stream = form.stream
        pattern = form.timestamps or (ISO if form.json else "")
        self._write = compile_pattern(pattern) if pattern else None
        self._prefix = _encode(form.prefix)
        app, stream = json.dumps(form.app, ensure_ascii=False), json.dumps(form.stream)
        self._rest = f',"app":{app},"instance":{form.instance},"stream":{stream},"message":"'
        self._shown: str | None = None
        self._heads: dict[str, bytes] = {}
        self._is_open = False
        self._pending = b""  # JSON: the beginning of a line that is not in the log yet, or half a character
        self._level: str | None = None

    @property
    def is_inside(self) -> bool:
        """Whether a line was begun and not ended; its beginning may be held back here still (JSON)."""
        return self._is_open or bool(self._pending)

    def make(self, data: bytes) -> bytes:
        """What these bytes become; they may begin and end inside a line.

        As JSON an unfinished line's first LOOK bytes (its level is looked for there) and half characters are held back.
        """
        if not data:
            return b""
        return self._make_json(data) if self._json else self._make_plain(data)

    def end(self) -> bytes:
        """What ends the unfinished line: the rest of a JSON object with a newline; b"" for a line that is none."""
        closing = b""
        if self._json and self.is_inside:
            head = b"" if self._is_open else self._begin(self._pending)
            closing = head + _escape(self._pending) + _CLOSE
        self._is_open, self._pending = False, b""
        return closing

    def note(self, line: bytes) -> bytes:
        """A whole line of our own, made like the others; as JSON it is a warning."""
        if self._json:
            self._tick()
            return self._head("warning") + _escape(line[:-1]) + _CLOSE
        return self._head_plain() + line

    def reset(self) -> None:
        """Forget the unfinished line: somebody else has ended it in the log. What is held back begins one of its own.

        Nothing is lost by it.
        """
        self._is_open = False

    # -- as it is, with a time and a prefix ----------------------------------------------------------------------------

    def _make_plain(self, data: bytes) -> bytes:
        was_open, self._is_open = self._is_open, data[-1] != 0x0A
        head = self._head_plain()
        if not head:
            return data
        # Without its last newline, which begins no line here; telling replace() how often would make it count first.
        text = data if self._is_open else data[:-1]
        lines = text.replace(b"\n", b"\n" + head)
        return b"".join((b"" if was_open else head, lines, b"" if self._is_open else b"\n"))

    def _head_plain(self) -> bytes:
        if self._write is None:
            return self._prefix
        text = self._write(self._clock())
        if text is not self._shown:
            self._shown = text
            self._heads[""] = _encode(text) + b" " + self._prefix
        return self._heads[""]

    # -- as JSON -------------------------------------------------------------------------------------------------------

    def _make_json(self, data: bytes) -> bytes:
        self._tick()
        parts: list[bytes] = []
        if self._pending:
            data, self._pending = self._pending + data, b""
        if self._is_open:
            end = data.find(b"\n")
            if end < 0:
                parts.append(self._piece(data))
                return parts[0]
            parts += [_escape(data[:end]), _CLOSE]
            self._is_open = False
            data = data[end + 1 :]
        cut = data.rfind(b"\n") + 1
        if cut:
            self._add_lines(parts, data[:cut])
            data = data[cut:]
        if len(data) >= LOOK:
            parts += [self._begin(data), self._piece(data)]
            self._is_open = True
        else:
            self._pending = data
        return b"".join(parts)

    def _begin(self, line: bytes) -> bytes:
        self._level = level_of(line, self._stream, self._level)
        return self._head(self._level)

    def _piece(self, data: bytes) -> bytes:
        """A part of a line, without the character that it ends within."""
        half = _half_character(data)
        if half:
            data, self._pending = data[:-half], data[-half:]
        return _escape(data)

    def _add_lines(self, parts: list[bytes], block: bytes) -> None:
        """block: whole lines."""
        changes = levels_in(block, self._stream, self._level)
        self._level = changes[-1][1]
        is_clean = block.isascii() and not block.translate(None, _GOOD)
        ends = [start for start, _ in changes[1:]] + [len(block)]
        for (start, level), end in zip(changes, ends, strict=True):
            run = block[start : end - 1]  # without its last newline
            if not is_clean:
                run = _escape(run)
            head = self._head(level)
            parts += [head, run.replace(b"\n", _CLOSE + head), _CLOSE]

    def _tick(self) -> None:
        assert self._write is not None
        text = self._write(self._clock())
        if text is not self._shown:
            self._shown = text
            self._heads.clear()

    def _head(self, level: str) -> bytes:
        head = self._heads.get(level)
        if head is None:
            if self._shown is None:
                self._tick()
            shown = json.dumps(self._shown, ensure_ascii=False)
            head = self._heads[level] = _encode(f'{{"time":{shown},"level":"{level}"{self._rest}')
        return head


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # halves of surrogate pairs come from broken names


def _escape(data: bytes) -> bytes:
    """Data as the inside of a JSON text; newlines stay, what is no UTF-8 becomes U+FFFD."""
    if not data.isascii():
        data = utf_8_decode(data, "replace", True)[0].encode()
    found = data.translate(None, _GOOD)
    if found:
        for byte in sorted(set(found), reverse=True):  # the backslash before all that are escaped with it
            data = data.replace(bytes((byte,)), json.dumps(chr(byte))[1:-1].encode())
    return data


def _half_character(data: bytes) -> int:
    """How many bytes at the end begin a character of UTF-8 whose rest is missing."""
    for back in range(1, min(3, len(data)) + 1):
        if data[-back] >= _LEAD:
            return back - utf_8_decode(data[-back:], "replace", False)[1]
    return 0
