"""Which lines of a log are wanted: by patterns, and by how grave they are."""

from __future__ import annotations

import re

from rookery.logs.follow import LONGEST
from rookery.logs.levels import ORDER, level_of, levels_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.logs.follow import Chunk

_COLOUR = re.compile(rb"\x1b\[[0-9;:]*m")
_PLAIN = re.compile(r"[A-Za-z0-9 ,:;@#%&=<>/'\"!~`_-]*", re.ASCII)


class Query:
    """What is asked for.

    patterns: regular expressions of which one must be found in a line; invert: none may. level: the least that counts.
    A colour in a line is no part of its text. Of a very long line the first LONGEST bytes are looked at.
    Raises ValueError for a pattern that is none.
    """

    def __init__(
        self, patterns: Sequence[str] = (), *, ignore_case: bool = False, invert: bool = False, level: str | None = None
    ) -> None:
        flags = re.IGNORECASE if ignore_case else 0
        self.bytes_patterns: list[re.Pattern[bytes]] = []
        self.text_patterns: list[re.Pattern[str]] = []
        for pattern in patterns:
            try:
                # Plain words are the same in bytes, and found many times faster.
                if _PLAIN.fullmatch(pattern):
                    self.bytes_patterns.append(re.compile(pattern.encode(), flags))
                else:
                    self.text_patterns.append(re.compile(pattern, flags))
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        self.invert = invert
        self.least = None if level is None else ORDER.index(level)

    def __bool__(self) -> bool:
        return bool(self.bytes_patterns or self.text_patterns or self.least is not None)

    def found(self, block: bytes) -> bytes:
        """The lines of a block that the patterns want."""
        if not block or not (self.bytes_patterns or self.text_patterns):
            return block
        # Most blocks have nothing of what is looked for.
        is_plain = not (self.invert or self.text_patterns or b"\x1b" in block)
        if is_plain and not any(pattern.search(block) for pattern in self.bytes_patterns):
            return b""
        wanted = [line for line in block.removesuffix(b"\n").split(b"\n") if self.finds(line[:LONGEST])]
        return b"\n".join([*wanted, b""]) if wanted else b""

    def finds(self, line: bytes) -> bool:
        """Whether the patterns want a line."""
        if not (self.bytes_patterns or self.text_patterns):
            return True
        if b"\x1b" in line:
            line = _COLOUR.sub(b"", line)
        is_found = any(pattern.search(line) for pattern in self.bytes_patterns)
        if not is_found and self.text_patterns:
            text = line.decode("utf-8", "replace")
            is_found = any(pattern.search(text) for pattern in self.text_patterns)
        return is_found is not self.invert


class Picker:
    """Applies a Query to the lines of one file, in their order: what has no level of its own has that before it.

    stream: out, err, or merged; what the level of a line that names none is.
    """

    def __init__(self, query: Query, stream: str) -> None:
        self._query = query
        self._stream = stream
        self._before: str | None = None
        self._verdict = False

    def wants(self, line: bytes) -> bool:
        """Whether the next line is wanted."""
        line = line[:LONGEST]
        if self._query.least is not None:
            self._before = level_of(line, self._stream, self._before)
            if ORDER.index(self._before) < self._query.least:
                return False
        return self._query.finds(line)

    def pick(self, chunk: Chunk) -> bytes:
        """What is wanted of the next chunk; pieces of a long line share the fate of its first."""
        data = chunk.data
        if chunk.continues:
            return data if self._verdict else b""
        if chunk.is_open:
            self._verdict = self.wants(data)
            return data if self._verdict else b""
        if self._query.least is not None:
            data = self._grave(data)
        return self._query.found(data)

    def _grave(self, data: bytes) -> bytes:
        """The lines of a block that are grave enough."""
        least = self._query.least or 0
        changes = levels_in(data, self._stream, self._before)
        ends = [offset for offset, _ in changes[1:]] + [len(data)]
        self._before = changes[-1][1] if changes else self._before
        kept = [data[at:end] for (at, level), end in zip(changes, ends, strict=False) if ORDER.index(level) >= least]
        return b"".join(kept)
