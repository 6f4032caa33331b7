"""``rook logs``: the last lines of output, and what comes. Reads the files itself."""

from __future__ import annotations

import os
import sys
import time

from rookery.cli.log_feeds import STREAMS, Feed, Style, feeds
from rookery.cli.output import is_coloured, put, say
from rookery.cli.parser import Parser, count
from rookery.control import places
from rookery.control.client import with_selectors
from rookery.control.launch import reading_client
from rookery.errors import ControlError, NothingMatched
from rookery.logs.follow import Follower, LogSource, end_of, follow_all
from rookery.logs.tail import last_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from rookery.control.client import Client

ASK_AGAIN = 2.0
"""Seconds between two questions to the manager for new instances while following."""


def run(argv: list[str]) -> int:
    """See ``rook logs --help``. Raises NothingMatched."""
    options = _parser().parse(argv)
    home = places.home(os.environ)
    client = reading_client(home)
    if client is None:
        if options.selectors:
            raise NothingMatched(f"nothing matches {' '.join(options.selectors)}", why=f"no manager runs for {home}")
        say(f"no manager runs; logs are in {places.log_folder(home)}")
        return 0
    style = Style(json=options.json, prefix=options.prefix, colour=is_coloured(sys.stdout, options.color))
    reading = _Reading(client, options, style)
    found = reading.new_feeds()
    if options.follow:
        reading.follow(found)
    for feed in found:
        for line in last_lines(feed.path, options.lines):
            put(style.line(feed, line))
    if not found:
        say("no apps; start one with: rook start app.py")
    return 0


class _Reading:
    """One run of the command. Files that appear while it follows are followed too."""

    def __init__(self, client: Client, options: argparse.Namespace, style: Style) -> None:
        self._client = client
        self._path = with_selectors("/v1/logs", options.selectors)
        self._streams = [stream for stream in STREAMS if options.only in (None, stream)]
        self._lines: int = options.lines
        self._style = style
        self._known: set[str] = set()
        self._late: list[tuple[Feed, Follower]] = []
        self._asked = 0.0

    def new_feeds(self, *, timeout: float = 10.0) -> list[Feed]:
        """The files that were not there at the last question. Raises ControlError."""
        self._asked = time.monotonic()
        _, sources = self._client.request("GET", self._path, timeout=timeout)
        new = [feed for feed in feeds(sources, self._streams) if feed.path not in self._known]
        for feed in new:
            self._known.add(feed.path)
            self._style.expect(feed)
        return new

    def follow(self, found: list[Feed]) -> None:
        """Print the last lines and what comes, until Ctrl-C."""
        by_name = {(feed.label, feed.stream): feed for feed in found}
        sources = [LogSource(feed.label, feed.stream, feed.path) for feed in found]
        try:
            for label, stream, line in follow_all(sources, lines=self._lines, sleep=self._pause, stop=self._look):
                put(self._style.line(by_name[label, stream], line))
        finally:
            for _, follower in self._late:
                follower.close()

    def _look(self) -> bool:
        """Once in each round: files that came later. Always False: following ends with Ctrl-C."""
        if time.monotonic() - self._asked > ASK_AGAIN:
            try:
                new = self.new_feeds(timeout=1.0)
            except ControlError:  # a change of managers, or the app is gone; the files can be read all the same
                new = []
            for feed in new:
                position = end_of(feed.path)
                for line in last_lines(feed.path, self._lines, until_offset=position.offset if position else 0):
                    put(self._style.line(feed, line))
                self._late.append((feed, Follower(feed.path, position)))
        for feed, follower in self._late:
            for line in follower.poll():
                put(self._style.line(feed, line))
        return False

    def _pause(self, seconds: float) -> None:
        sys.stdout.flush()
        time.sleep(seconds)


def _parser() -> Parser:
    parser = Parser(
        "logs",
        "Show the last lines of output, and with -f what comes. Ctrl-C ends it.",
        ("rook logs", "rook logs web -f", "rook logs web worker:1 -n 100 --err", "rook logs --json | jq .message"),
        words="[SELECTOR...]",
    )
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help="name, id, name:index, /regex/, all")
    parser.add_argument("-n", "--lines", type=count, default=15, metavar="N", help="last lines of each file")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    streams = parser.add_mutually_exclusive_group()
    streams.add_argument("--out", dest="only", action="store_const", const="out", help="stdout only (default: both)")
    streams.add_argument("--err", dest="only", action="store_const", const="err", help="stderr only (default: both)")
    parser.add_argument(
        "--no-prefix", dest="prefix", action="store_false", help="no name before lines of several (default: names)"
    )
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", metavar="WHEN", help="auto, always or never"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line: app, instance, stream, message")
    return parser
