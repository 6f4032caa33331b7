"""Lines of logs as server-sent events: what was there, then what comes.

::

    files -> Merge --(a thread, a little at a time)--> Lines.more() -> EventStream -> client

Nothing is read ahead of the client. A line is an event whose data is a JSON object (see rookery.logs.records); the id
of an event is a place in all the files, and who comes back with it goes on exactly after that event. Besides there
are ``live`` where the history has ended and ``end`` after the last one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from rookery.errors import ControlError, NothingMatched, UsageError
from rookery.logs.cursor import pack_positions, unpack_positions
from rookery.logs.feeds import STREAMS, feeds
from rookery.logs.history import Wanted, beginning
from rookery.logs.merge import Merge, Reader
from rookery.logs.position import BEGINNING
from rookery.logs.records import Recorder
from rookery.logs.when import parse_when
from rookery.web.bodies import flag_of, selectors_of
from rookery.web.streams import EventStream, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from rookery.control.messages import AppSource
    from rookery.logs.feeds import Feed
    from rookery.logs.follow import Chunk
    from rookery.logs.position import Position
    from rookery.web.streams import Streams

DEFAULT_LINES = 15
AT_ONCE = 64 * 1024
"""Bytes of messages after which a look ends."""
POLL, IDLE_POLL, IDLE_AFTER = 0.1, 0.25, 20
ASK_AGAIN = 2.0
"""Seconds between two looks for new instances."""
MOST_OPEN = 64
"""Files that one stream holds open; more of them are read by turns."""
_LONGEST_ID = 400
"""Characters of an id beyond which only the last event of a batch has one."""


class LogQuery(NamedTuple):
    """What a client asks for. lines: None for all; since, until: wall ms; whole: no unfinished line; raw: the lines of
    files that are JSON as they are, with ms and json beside.
    """

    selectors: list[str]
    lines: int | None
    since: int | None
    until: int | None
    streams: tuple[str, ...]
    follow: bool
    combined: bool
    whole: bool
    raw: bool
    after: dict[str, Position] | None


def log_query(request: Request) -> LogQuery:
    """Raises UsageError."""
    given = request.query_params
    since, until = _moment(given.get("since")), _moment(given.get("until"))
    text = given.get("lines", "")
    if text not in ("", "all") and not (text.isascii() and text.isdecimal()):
        raise UsageError(f"lines={text!r} is no number from 0", hint="or: all")
    lines = None if text == "all" or (not text and since is not None) else int(text or DEFAULT_LINES)
    streams = tuple(stream for stream in STREAMS if flag_of(request, stream)) or STREAMS
    last = request.headers.get("last-event-id", "")
    try:
        after = _place(last) if last else None
    except ValueError as error:
        raise UsageError(str(error), hint="leave out Last-Event-ID") from None
    follow, combined, whole, raw = (flag_of(request, name) for name in ("follow", "combined", "whole", "raw"))
    return LogQuery(selectors_of(request), lines, since, until, streams, follow, combined, whole, raw, after)


class Lines:
    """The lines for one client. ask: where the logs are at this time. more() belongs to the event loop."""

    def __init__(self, query: LogQuery, ask: Callable[[], list[AppSource]]) -> None:
        self._query = query
        self._ask = ask
        self._sources = _built(ask())
        self._asked = time.monotonic()
        self._merge = Merge(most_open=MOST_OPEN, with_positions=True)
        self._recorders: dict[Feed, Recorder] = {}
        self._paths: set[str] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._is_live = self._is_ended = False
        self._idle = 0
        self._steps = self._run()

    async def more(self) -> list[Message]:
        """See EventStream. Raises EOFError after the end."""
        while not self._is_ended:
            messages = await asyncio.to_thread(self._look)
            if messages:
                self._idle = 0
                return messages
            self._idle += 1
            await asyncio.sleep(POLL if self._idle < IDLE_AFTER else IDLE_POLL)
            if time.monotonic() - self._asked > ASK_AGAIN:
                self._look_for_new()
        raise EOFError

    def close(self) -> None:
        """Close the files, now or when the present look has ended."""
        self._closing.set()
        if self._lock.acquire(blocking=False):
            try:
                self._merge.close()
            finally:
                self._lock.release()

    def _look_for_new(self) -> None:
        self._asked = time.monotonic()
        try:
            self._sources = _built(self._ask())
        except NothingMatched:
            self._sources = []
        except ControlError:
            return

    def _look(self) -> list[Message]:
        """In a thread: the next few messages, in bounded time."""
        messages: list[Message] = []
        size = 0
        with self._lock:
            if self._closing.is_set():
                return []
            for message in self._steps:
                if message is None:
                    break
                messages.append(message)
                size += len(message.data)
                if size > AT_ONCE and message.id:
                    break
        if self._closing.is_set():
            self.close()
        return messages

    def _run(self) -> Iterator[Message | None]:
        """All messages; None where nothing more is there for now."""
        query = self._query
        self._add_new(is_late=False)
        with_rest = query.lines != 0 and not (query.follow or query.whole)
        for reader, chunk in self._merge.history(with_rest=with_rest):
            yield from self._messages(reader, chunk)
        if not query.follow:
            self._is_ended = True
            yield Message("{}", self._word(), "end")
            return
        yield Message("{}", self._word(), "live")
        while self._sources or not query.selectors:
            for reader in self._add_new(is_late=True):
                for one, chunk in self._merge.history([reader]):
                    yield from self._messages(one, chunk)
            for reader, chunk in self._merge.round():
                yield from self._messages(reader, chunk)
            yield None
        self._is_ended = True
        yield Message("{}", self._word(), "end")

    def _add_new(self, *, is_late: bool) -> list[Reader]:
        query = self._query
        added = []
        for feed in feeds(self._sources, query.streams, combined=query.combined):
            if feed.path in self._paths or self._closing.is_set():
                continue
            self._paths.add(feed.path)
            position = (query.after or {}).get(feed.path)
            if position is None and (query.after is not None or is_late):
                position = BEGINNING
            elif position is None:
                whole = query.follow or query.whole
                position = beginning(
                    feed.path, Wanted(query.lines, query.since, query.until, whole=whole, timed=feed.timed)
                )
            reader = Reader(feed, position, since=query.since, until=query.until)
            self._recorders[feed] = Recorder(feed, raw=query.raw)
            self._merge.add(reader)
            added.append(reader)
        return added

    def _messages(self, reader: Reader, chunk: Chunk) -> Iterator[Message]:
        word = self._word(reader)
        left = len(chunk.data)
        lines = chunk.data.removesuffix(b"\n").split(b"\n")
        records = list(self._recorders[reader.feed].records(chunk, chunk.data))
        for line, record in zip(lines, records, strict=True):
            left -= len(line) + 1
            if self._query.raw:
                record["ms"] = chunk.time
                if reader.feed.json:
                    record["json"] = True
            # Within a chunk a place is told by what of it is left.
            place = word if left <= 0 else f"{word}~{left}" if len(word) <= _LONGEST_ID else ""
            yield Message(msgspec.json.encode(record).decode(), place)

    def _word(self, first: Reader | None = None) -> str:
        readers = sorted(self._merge.readers, key=lambda reader: reader is not first)
        return pack_positions({reader.feed.path: reader.position or BEGINNING for reader in readers})


class LogStream(EventStream):
    """The response: Lines, closed when the client or the manager has gone."""

    def __init__(self, streams: Streams, lines: Lines) -> None:
        super().__init__(streams, lines.more)
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._lines.close()


def _moment(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return int(parse_when(text, time.time()) * 1000)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _place(word: str) -> dict[str, Position]:
    packed, _, left = word.partition("~")
    positions = unpack_positions(packed)
    if left and positions:
        path, at = next(iter(positions.items()))
        if not (left.isascii() and left.isdecimal()) or int(left) > at.offset:
            raise ValueError(f"this is no position in a log: {word[:40]!r}")
        positions[path] = at._replace(offset=at.offset - int(left), mark=(0, 0))
    return positions


def _built(sources: list[AppSource]) -> list[dict[str, object]]:
    built: list[dict[str, object]] = msgspec.to_builtins(sources)
    return built
