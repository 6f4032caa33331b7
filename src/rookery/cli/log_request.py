"""What ``rook logs`` was asked for: its options, and what they mean."""

from __future__ import annotations

import argparse
import sys
import time
from typing import NamedTuple

from rookery.cli.log_output import Look
from rookery.cli.output import is_coloured
from rookery.cli.parser import Parser, count
from rookery.cli.selecting import SELECTOR_HELP, selectors
from rookery.errors import UsageError
from rookery.logs.feeds import STREAMS
from rookery.logs.levels import parse_level
from rookery.logs.pick import Query
from rookery.logs.when import parse_when

DEFAULT_LINES = 15


class Request(NamedTuple):
    """See the options. lines: None for all; since, until: wall ms."""

    selectors: list[str]
    lines: int | None
    lines_given: bool
    follow: bool
    since: int | None
    until: int | None
    query: Query
    streams: tuple[str, ...]
    combined: bool
    cursor: str
    look: Look

    @property
    def selects(self) -> bool:
        """Whether only some apps are wanted."""
        return bool(self.selectors)


def parse_request(argv: list[str]) -> Request:
    """Raises UsageError."""
    options = _parser().parse(argv)
    try:
        query = Query(options.grep, ignore_case=options.ignore_case, invert=options.invert, level=options.level)
    except ValueError as error:
        raise UsageError(f"rook logs: {error}") from None
    if (options.ignore_case or options.invert) and not options.grep:
        raise UsageError("rook logs: -i and -v say how --grep looks", hint="rook logs --grep REGEX -i")
    if options.since is not None and options.until is not None and options.since > options.until:
        raise UsageError("rook logs: --since is later than --until")
    if options.follow and options.until is not None:
        raise UsageError("rook logs: --until ends what is read, --follow goes on", hint="leave out one of them")
    lines = options.lines
    is_given = lines is not None
    if lines is None:
        lines = DEFAULT_LINES if options.since is None else -1
    is_terminal = sys.stdout.isatty()
    colour = is_coloured(sys.stdout, options.color)
    return Request(
        selectors=selectors(options.selectors),
        lines=None if lines < 0 else lines,
        lines_given=is_given,
        follow=options.follow,
        since=options.since,
        until=options.until,
        query=query,
        streams=STREAMS if options.only is None else (options.only,),
        combined=options.combined,
        cursor=options.cursor_file or "",
        look=Look(
            json=options.json,
            prefix=options.prefix,
            time=options.time,
            colour=colour,
            strip=options.color == "never" or (is_terminal and not colour),
            tame=is_terminal and not options.raw,
        ),
    )


def _lines(text: str) -> int:
    return -1 if text == "all" else count(text)


def _moment(text: str) -> int:
    try:
        return int(parse_when(text, time.time()) * 1000)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _level(text: str) -> str:
    try:
        return parse_level(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> Parser:
    parser = Parser(
        "logs",
        "Show the last lines of output, and with -f what comes. Ctrl-C ends it.",
        (
            "rook logs",
            "rook logs web -f",
            "rook logs web worker:1 -n 100 --err",
            "rook logs --since 10m --level warning",
            "rook logs web --grep 'timed? ?out' -i --time",
            "rook logs --json | jq .message",
        ),
        words="[SELECTOR...]",
    )
    add = parser.add_argument
    add("selectors", nargs="*", metavar="SELECTOR", help=SELECTOR_HELP)
    add(
        "-n", "--lines", type=_lines, metavar="N",
        help=f"last lines of each file, or all (default: {DEFAULT_LINES}; with --since all)",
    )  # fmt: skip
    add("-f", "--follow", action="store_true", help="go on with what comes")
    add("--since", type=_moment, metavar="TIME", help="from then on: 10m (ago), 09:30, 2030-12-31, today, @SECONDS")
    add("--until", type=_moment, metavar="TIME", help="up to then, written likewise")
    add(
        "--grep", action="append", default=[], metavar="REGEX",
        help="only lines in which it is found; given again: or this (default: all lines)",
    )  # fmt: skip
    add("-i", "--ignore-case", action="store_true", help="--grep takes A for a")
    add("-v", "--invert", action="store_true", help="only lines in which --grep finds nothing")
    add("--level", type=_level, metavar="LEVEL", help="that and graver: trace debug info warning error critical")
    streams = parser.add_mutually_exclusive_group()
    streams.add_argument("--out", dest="only", action="store_const", const="out", help="stdout only (default: both)")
    streams.add_argument("--err", dest="only", action="store_const", const="err", help="stderr only (default: both)")
    add("--combined", action="store_true", help="of apps with a combined log that one")
    add("--time", action="store_true", help="when each line came, to a quarter of a second")
    add("--no-prefix", dest="prefix", action="store_false", help="no name before lines of several (default: names)")
    add("--json", action="store_true", help="one JSON object per line: app, instance, stream, time, level, message")
    add("--cursor-file", metavar="FILE", help="go on after what was shown when FILE was last used")
    add("--color", choices=("auto", "always", "never"), default="auto", metavar="WHEN", help="auto, always or never")
    add("--raw", action="store_true", help="pass escape sequences of apps to the terminal as they are")
    return parser
