"""``rook logs`` where it may read the files itself."""

from __future__ import annotations

import os
import time

from rookery.cli.output import say
from rookery.errors import ControlError, NothingMatched, OperationFailed
from rookery.logs.cursor import load_cursor, save_cursor
from rookery.logs.feeds import feeds
from rookery.logs.history import Wanted, beginning
from rookery.logs.merge import FDS_EACH, Merge, Reader
from rookery.logs.pick import Picker
from rookery.logs.position import BEGINNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from rookery.cli.log_output import Output
    from rookery.cli.log_request import Request
    from rookery.logs.feeds import Feed
    from rookery.logs.position import Position

ASK_AGAIN = 2.0
"""Seconds between two questions to the manager for new instances while following."""
POLL = 0.1
"""Seconds between two looks while something comes."""
IDLE_POLL = 0.25
IDLE_AFTER = 20
"""Looks without a line before they become rarer."""
SHARE = 6
"""A look may take one part in so many of the time; with very many files they become rarer."""
SAVE_EACH = 1.0
"""Seconds between two savings of the cursor while following."""
_SPARE_FDS = 24


class Reading:
    """One run of the command. ask: the manager's AppSources, given a timeout; pause: waits so many seconds; check:
    called between two chunks, may raise to end it.

    Files that appear while it follows are followed too.
    """

    def __init__(
        self,
        request: Request,
        output: Output,
        ask: Callable[[float], list[dict[str, Any]]],
        pause: Callable[[float], None],
        check: Callable[[], None],
    ) -> None:
        self._request = request
        self._output = output
        self._ask = ask
        self._pause = pause
        self._check = check
        self._cursor = load_positions(request.cursor)
        self._known: dict[str, Reader] = {}
        self._pickers: dict[Reader, Picker] = {}
        self._missing: dict[str, int] = {}
        self._asked = self._saved = 0.0
        self._merge = Merge(most_open=10_000, with_positions=bool(request.cursor))

    def run(self, sources: list[dict[str, Any]]) -> int:
        """Print the history and, if so asked, what comes until Ctrl-C or until nothing is left to follow.

        Returns how many files there were. Raises PermissionError before anything was printed where one may not be
        read; other OSErrors.
        """
        request = self._request
        self._asked = self._saved = time.monotonic()
        new = self._new_feeds(sources)
        self._merge = Merge(most_open=_most_open(len(new)), with_positions=bool(request.cursor))
        with self._merge:
            for feed in new:
                self._add(feed, late=False)
            try:
                self._history()
                if request.follow:
                    self._follow()
                self._output.finish()
                self._output.flush()
            except (KeyboardInterrupt, SystemExit):  # after other errors nobody knows what has arrived
                self._output.flush()
                self._save()
                raise
            self._save()
        return len(self._known)

    def _new_feeds(self, sources: list[dict[str, Any]]) -> list[Feed]:
        found = feeds(sources, self._request.streams, combined=self._request.combined)
        return [feed for feed in found if feed.path not in self._known]

    def _add(self, feed: Feed, *, late: bool) -> None:
        with_permission(feed.path)
        request = self._request
        position = (self._cursor or {}).get(feed.path)
        if position is None:
            # With a cursor, or while following, a file that was not there before is new from its beginning.
            is_new = self._cursor is not None or (late and not request.lines_given)
            position = BEGINNING if is_new else self._beginning(feed)
        reader = Reader(
            feed, position, since=request.since, until=request.until, on_loss=lambda lost: _tell_loss(feed, lost)
        )
        self._output.expect(feed)
        self._known[feed.path] = reader
        self._pickers[reader] = Picker(request.query, feed.stream)
        self._merge.add(reader)

    def _beginning(self, feed: Feed) -> Position | None:
        request = self._request
        query = request.query
        return beginning(
            feed.path,
            Wanted(
                request.lines,
                request.since,
                request.until,
                (lambda: Picker(query, feed.stream).wants) if query else None,
                whole=request.follow or bool(request.cursor),
                timed=feed.timed,
            ),
        )

    def _history(self, readers: list[Reader] | None = None) -> None:
        request = self._request
        with_rest = request.lines != 0 and not (request.follow or request.cursor)
        for reader, chunk in self._merge.history(readers, with_rest=with_rest):
            self._write(reader, chunk)
        self._output.flush()

    def _write(self, reader: Reader, chunk: Any) -> None:
        data = self._pickers[reader].pick(chunk) if self._request.query else chunk.data
        self._output.write(reader.feed, chunk, data)
        self._check()

    def _follow(self) -> None:
        idle = 0
        is_left = True
        while is_left:
            began = time.monotonic()
            idle += 1
            for reader, chunk in self._merge.round():
                idle = 0
                self._write(reader, chunk)
            self._output.flush()
            now = time.monotonic()
            if now - self._saved > SAVE_EACH:
                self._save()
            if now - self._asked > ASK_AGAIN:
                is_left = self._look()
            self._pause(max(POLL if idle < IDLE_AFTER else IDLE_POLL, SHARE * (now - began)))

    def _look(self) -> bool:
        """Files that came later, and those that are gone. False: nothing that was asked for is there any more."""
        self._asked = time.monotonic()
        try:
            sources = self._ask(1.0)
        except NothingMatched:
            sources = []
        except ControlError:  # a change of managers; the files can be read all the same
            return True
        new = self._new_feeds(sources)
        for feed in new:
            try:
                self._add(feed, late=True)
            except PermissionError as error:
                say(f"rook: {feed.path}: {error.strerror}")
                self._known[feed.path] = Reader(feed)
        if new:
            self._history([self._known[feed.path] for feed in new])
        there = {feed.path for feed in feeds(sources, self._request.streams, combined=self._request.combined)}
        for path in set(self._known) - there:
            self._missing[path] = self._missing.get(path, 0) + 1
            if self._missing[path] > 1:  # not only in the middle of being replaced; it has been read to its end
                reader = self._known.pop(path)
                if reader in self._merge.readers:
                    self._merge.remove(reader)
        self._missing = {path: times for path, times in self._missing.items() if path not in there}
        return bool(self._known) or not self._request.selects

    def _save(self) -> None:
        request = self._request
        if not request.cursor:
            return
        self._saved = time.monotonic()
        # Of logs that were not asked for this time the positions stay, as long as there is such a log.
        kept = {path: at for path, at in (self._cursor or {}).items() if _has_files(path)}
        positions = {path: reader.position for path, reader in self._known.items()}
        save_positions(request.cursor, {**kept, **positions})


def with_permission(path: str) -> None:
    """Raise PermissionError where a log may not be read; one that is not there may."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except FileNotFoundError:
        return


def load_positions(path: str) -> dict[str, Position] | None:
    """What a cursor file holds; None for no file. Raises OperationFailed."""
    if not path:
        return None
    try:
        return load_cursor(path)
    except ValueError as error:
        raise OperationFailed(str(error), hint="remove it to begin anew") from error
    except OSError as error:
        raise OperationFailed(f"could not read the cursor {path}", why=error.strerror or str(error)) from error


def save_positions(path: str, positions: Mapping[str, Position | None]) -> None:
    """Replace a cursor file. Raises OperationFailed."""
    try:
        save_cursor(path, positions)
    except OSError as error:
        raise OperationFailed(f"could not save the cursor {path}", why=error.strerror or str(error)) from error


def _has_files(path: str) -> bool:
    return os.path.exists(path) or os.path.exists(f"{path}.1")


def _tell_loss(feed: Feed, lost: int) -> None:
    name = os.path.basename(feed.path)
    if lost:
        were = "file was" if lost == 1 else "files were"
        say(f"rook: {name}: {lost} {were} rotated away or removed before they could be read")
    else:
        say(f"rook: {name}: files were rotated away or removed before they could be read; lines may be missing")


def _most_open(files: int) -> int:
    """Files that may be open at once; the limit is raised as far as it goes where they are many."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files * FDS_EACH * 2 + _SPARE_FDS  # as many may be added while following
    if soft < wanted and soft < hard:
        soft = min(hard, max(wanted, 4096)) if hard != resource.RLIM_INFINITY else max(wanted, 4096)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (ValueError, OSError):
            soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(1, (soft - _SPARE_FDS) // FDS_EACH)
