"""A line of a log as a JSON object: whose it is, when it came, how grave it is."""

from __future__ import annotations

import json
import time

from rookery.logs.levels import level_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rookery.logs.feeds import Feed
    from rookery.logs.follow import Chunk

TIME_WIDTH = 29
"""Characters of a time of iso()."""


def iso(ms: int) -> str:
    """Wall milliseconds as ISO 8601, local, with the offset."""
    second, rest = divmod(ms, 1000)
    local = time.localtime(second)
    minutes = abs(local.tm_gmtoff) // 60
    sign = "-" if local.tm_gmtoff < 0 else "+"
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", local)
    return f"{moment}.{rest:03d}{sign}{minutes // 60:02d}:{minutes % 60:02d}"


class Recorder:
    """Makes objects of the lines of one file, in their order. raw: leave a file's own JSON as it is.

    An object has app, instance, stream, time (None: not known), level and message; partial, where the line goes on in
    the next object. A line that is such an object already keeps its own values, and what else it has.
    """

    def __init__(self, feed: Feed, *, raw: bool = False) -> None:
        self._feed = feed
        self._parses = feed.json and not raw
        self._before: str | None = None

    def records(self, chunk: Chunk, data: bytes) -> Iterator[dict[str, Any]]:
        """The objects of a chunk, or of what was picked of it."""
        feed = self._feed
        moment = None if chunk.time is None else iso(chunk.time)
        for line in data.removesuffix(b"\n").split(b"\n"):
            own = _own(line) if self._parses and not (chunk.continues or chunk.is_open) else {}
            if not chunk.continues and "level" not in own:
                self._before = level_of(line, feed.stream, self._before)
            record: dict[str, Any] = {
                "app": feed.app,
                "instance": feed.instance,
                "stream": feed.stream,
                "time": moment,
                "level": self._before,
                "message": "" if own else line.decode("utf-8", "replace"),
                **own,
            }
            if chunk.is_open:
                record["partial"] = True
            yield record


def _own(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) and "message" in value else {}
