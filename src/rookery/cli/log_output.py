"""How lines of logs are written: as they are, with a prefix where there are several to tell apart, or as JSON."""

from __future__ import annotations

import json
import zlib
from typing import NamedTuple

from rookery.cli.output import LABEL_COLOURS
from rookery.cli.terminal_text import RESET, tamed, without_colours
from rookery.logs.records import TIME_WIDTH, Recorder, iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from rookery.logs.feeds import Feed
    from rookery.logs.follow import Chunk

_RED = 31


class Look(NamedTuple):
    """What the user wants to see.

    colour: colour prefixes; strip: remove colours of the apps; tame: the reader is a terminal, make harmless what
    could confuse it; time: write when a line came before it.
    """

    json: bool = False
    prefix: bool = True
    time: bool = False
    colour: bool = False
    strip: bool = False
    tame: bool = False


class Output:
    """Writes chunks of several logs to one stream; whoever calls flushes it."""

    def __init__(self, stream: BinaryIO, look: Look) -> None:
        self._stream = stream
        self._look = look
        self._labels: dict[str, None] = {}
        self._width = 0
        self._open: Feed | None = None
        self._recorders: dict[Feed, Recorder] = {}
        self._moment: tuple[int | None, bytes] = (None, b"")

    def expect(self, feed: Feed) -> None:
        """Count a feed in: prefixes are as wide as the longest label."""
        self._labels[feed.label] = None
        self._width = max(self._width, len(feed.label))

    def write(self, feed: Feed, chunk: Chunk, data: bytes) -> None:
        """Write what was picked of a chunk. Raises OSError."""
        if not data:
            return
        if self._look.json:
            recorder = self._recorders.get(feed)
            if recorder is None:
                recorder = self._recorders[feed] = Recorder(feed)
            lines = [json.dumps(record) for record in recorder.records(chunk, data)]
            self._stream.write("\n".join([*lines, ""]).encode())
            return
        continues = chunk.continues and self._open == feed
        if self._open is not None and not continues:
            self._stream.write(b"\n")
        self._stream.write(self._rendered(feed, chunk, data, continues=continues))
        self._open = feed if chunk.is_open else None

    def finish(self) -> None:
        """End the line that is still open, if one is. Raises OSError."""
        if self._open is not None:
            self._stream.write(b"\n")
            self._open = None

    def flush(self) -> None:
        """See BinaryIO."""
        self._stream.flush()

    def _rendered(self, feed: Feed, chunk: Chunk, data: bytes, *, continues: bool) -> bytes:
        look = self._look
        if look.tame:
            data = tamed(data, colours=not look.strip)
        elif look.strip:
            data = without_colours(data)
        body = data.removesuffix(b"\n")
        head = self._head(feed, chunk.time)
        if look.colour and b"\x1b" in body:
            # An app that leaves its colour on must not paint the next prefix.
            body = body.replace(b"\n", RESET + b"\n") + RESET
        if head:
            body = body.replace(b"\n", b"\n" + head)
            if not continues:
                body = head + body
        return body if chunk.is_open else body + b"\n"

    def _head(self, feed: Feed, ms: int | None) -> bytes:
        head = b""
        if self._look.prefix and len(self._labels) > 1:
            bar = "!" if feed.stream == "err" else "|"
            label = feed.label.ljust(self._width)
            if self._look.colour:
                colour = LABEL_COLOURS[
                    zlib.crc32(feed.app.encode()) % len(LABEL_COLOURS)
                ]  # hash() would change with each run
                label = f"\x1b[{colour}m{label}\x1b[0m"
                bar = f"\x1b[{_RED if feed.stream == 'err' else colour}m{bar}\x1b[0m"
            head = f"{label} {bar} ".encode()
        if self._look.time:
            if self._moment[0] != ms or not self._moment[1]:
                self._moment = ms, (iso(ms) if ms is not None else "-").ljust(TIME_WIDTH + 1).encode()
            head += self._moment[1]
        return head
