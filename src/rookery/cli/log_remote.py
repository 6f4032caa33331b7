"""``rook logs`` where it may not read the files: the manager reads them, and sends their lines as events."""

from __future__ import annotations

import json
import time
from collections import deque

from rookery.cli.log_files import SAVE_EACH, save_positions
from rookery.control.client import with_query
from rookery.control.follow import follow
from rookery.errors import NothingMatched
from rookery.logs.cursor import pack_positions, unpack_positions
from rookery.logs.feeds import Feed
from rookery.logs.follow import Chunk
from rookery.logs.pick import Picker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rookery.cli.log_output import Output
    from rookery.cli.log_request import Request
    from rookery.control.client import Client
    from rookery.logs.position import Position


class Remote:
    """One run of the command over the manager's stream."""

    def __init__(self, request: Request, output: Output, client: Client) -> None:
        self._request = request
        self._output = output
        self._client = client
        self._pickers: dict[Feed, Picker] = {}
        self._inside: set[Feed] = set()
        self._held: dict[Feed, deque[tuple[int, Feed, Chunk, bytes]]] = {}
        self._is_history = bool(request.query) and request.lines is not None
        self._count = 0

    def run(self, known: list[Feed], cursor: dict[str, Position] | None) -> None:
        """Print until the history ends, or, following, until Ctrl-C or until nothing is left. Raises ControlError."""
        for feed in known:
            self._output.expect(feed)
        after = pack_positions(cursor) if cursor is not None else ""
        saved = time.monotonic()
        pending: list[dict[str, Any]] = []
        try:
            for told in follow(self._client, with_query("/v1/logs/stream", self._pairs()), after=after):
                if told.event in ("", "message"):
                    pending.append(json.loads(told.data))
                if not told.id:
                    continue
                for record in pending:  # up to here it is certain that nothing comes again
                    self._write(record)
                pending.clear()
                if told.event in ("end", "live"):
                    self._release()
                self._output.flush()
                after = told.id
                if time.monotonic() - saved > SAVE_EACH:
                    saved = time.monotonic()
                    self._save(cursor, after)
                if told.event == "end":
                    break
        except NothingMatched:
            if not self._count:
                raise
        finally:
            self._save(cursor, after)
        self._output.finish()
        self._output.flush()

    def _save(self, cursor: dict[str, Position] | None, after: str) -> None:
        if self._request.cursor and after:
            save_positions(self._request.cursor, {**(cursor or {}), **unpack_positions(after)})

    def _pairs(self) -> list[tuple[str, str]]:
        request = self._request
        # What a filter leaves of the last lines can only be known where the filter is.
        lines = None if request.query else request.lines
        pairs = [("select", selector) for selector in request.selectors]
        pairs += [("lines", "all" if lines is None else str(lines)), ("raw", "1")]
        pairs += [
            (name, f"@{ms / 1000:.3f}") for name, ms in (("since", request.since), ("until", request.until)) if ms
        ]
        flags = {"follow": request.follow, "combined": request.combined, "whole": bool(request.cursor)}
        flags |= {stream: request.streams == (stream,) for stream in ("out", "err")}
        return pairs + [(name, "1") for name, is_on in flags.items() if is_on]

    def _write(self, record: dict[str, Any]) -> None:
        self._count += 1
        feed = Feed(record["app"], record["instance"], record["stream"], "", bool(record.get("json")))
        if feed not in self._pickers:
            self._pickers[feed] = Picker(self._request.query, feed.stream)
            self._output.expect(feed)
        is_open = bool(record.get("partial"))
        data = record["message"].encode("utf-8", "replace") + (b"" if is_open else b"\n")
        chunk = Chunk(data, record.get("ms"), 0, feed in self._inside, is_open)
        (self._inside.add if is_open else self._inside.discard)(feed)
        if self._request.query:
            data = self._pickers[feed].pick(chunk)
        if not data:
            return
        if not self._is_history:
            self._output.write(feed, chunk, data)
            return
        held = self._held.setdefault(feed, deque(maxlen=self._request.lines))
        held.append((self._count, feed, chunk, data))

    def _release(self) -> None:
        """The history is complete: print the last lines that were wanted, in the order in which they came."""
        self._is_history = False
        for _, feed, chunk, data in sorted(
            (one for held in self._held.values() for one in held), key=lambda one: one[0]
        ):
            self._output.write(feed, chunk, data)
        self._held.clear()
