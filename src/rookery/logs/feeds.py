"""Which log files there are, and whose lines are in them. Pure."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any

STREAMS = ("out", "err")


class Feed(NamedTuple):
    """One log file. instance: an index, None where instances share it; stream: out, err, or merged for both.

    json: its lines are JSON objects already. timed: its index tells when they came; where the app writes the file
    itself, it tells when copies began.
    """

    app: str
    instance: int | None
    stream: str
    path: str
    json: bool = False
    timed: bool = True

    @property
    def label(self) -> str:
        """What stands before its lines."""
        return self.app if self.instance is None else f"{self.app}:{self.instance}"


def feeds(
    sources: Iterable[dict[str, Any]], streams: Collection[str] = STREAMS, *, combined: bool = False
) -> list[Feed]:
    """The files behind AppSources, each once, in their order; only those that hold one of these streams.

    combined: of an app that has one, the file with everything instead.
    """
    by_path: dict[str, Feed] = {}
    for source in sources:
        is_json, is_timed = bool(source.get("json")), source.get("via") != "direct"
        if combined and source.get("combined"):
            path = source["combined"]
            by_path.setdefault(path, Feed(source["name"], None, "merged", path, is_json))
            continue
        for stream in STREAMS:
            feed = Feed(source["name"], source["index"], stream, source[stream], is_json, is_timed)
            old = by_path.setdefault(feed.path, feed)
            if old.instance != feed.instance:
                by_path[feed.path] = old = old._replace(instance=None)
            if old.stream != stream:
                by_path[feed.path] = old._replace(stream="merged")
    return [feed for feed in by_path.values() if feed.stream == "merged" or feed.stream in streams]
