"""Which log files belong to what, and how their lines look. Pure."""

from __future__ import annotations

import json
from typing import NamedTuple

from rookery.cli.output import painted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any

STREAMS = ("out", "err")
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_FAINT = 2


class Feed(NamedTuple):
    """One log file. instance: an index, None where instances share it; stream: out, err, or merged for both."""

    app: str
    instance: int | None
    stream: str
    path: str

    @property
    def label(self) -> str:
        """What stands before its lines."""
        return self.app if self.instance is None else f"{self.app}:{self.instance}"


def feeds(sources: Iterable[dict[str, Any]], streams: Collection[str] = STREAMS) -> list[Feed]:
    """The files behind AppSources, each once, in their order; only those that hold one of these streams."""
    by_path: dict[str, Feed] = {}
    for source in sources:
        for stream in STREAMS:
            feed = Feed(source["name"], source["index"], stream, source[stream])
            old = by_path.setdefault(feed.path, feed)
            if old.instance != feed.instance:
                by_path[feed.path] = old = old._replace(instance=None)
            if old.stream != stream:
                by_path[feed.path] = old._replace(stream="merged")
    return [feed for feed in by_path.values() if feed.stream == "merged" or feed.stream in streams]


class Style:
    """How lines are written: as JSON, or with a prefix where there is more than one instance to tell apart."""

    def __init__(self, *, json: bool = False, prefix: bool = True, colour: bool = False) -> None:
        self._json = json
        self._prefix = prefix
        self._colour = colour
        self._labels: set[str] = set()

    def expect(self, feed: Feed) -> None:
        """Count a feed in."""
        self._labels.add(feed.label)

    def line(self, feed: Feed, raw: bytes) -> str:
        """A line as it is printed, without its newline."""
        text = raw.decode("utf-8", "replace")
        if self._json:
            return json.dumps({"app": feed.app, "instance": feed.instance, "stream": feed.stream, "message": text})
        if self._colour and "\x1b" in text:
            text += "\x1b[0m"  # an app that leaves its colour on must not paint the next prefix
        if not self._prefix or len(self._labels) < 2:
            return text
        return painted(f"{feed.label} | ", _colour_of(feed), on=self._colour) + text


def _colour_of(feed: Feed) -> str:
    colour = _COLOURS[sum(feed.app.encode()) % len(_COLOURS)]  # hash() would change with each run
    return f"{_FAINT};{colour}" if feed.stream == "err" else str(colour)
