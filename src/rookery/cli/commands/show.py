"""``rook show``: everything about some instances."""

from __future__ import annotations

import os
import sys

from rookery.cli.details import LogEnd, block
from rookery.cli.hints import say_hints
from rookery.cli.looking import naming_client
from rookery.cli.output import as_json, is_coloured, put
from rookery.cli.parser import Parser, add_json, count
from rookery.cli.process_tree import with_cpu
from rookery.cli.selecting import SELECTOR_HELP, selectors
from rookery.cli.table import terminal_width
from rookery.control.client import with_selectors
from rookery.logs.tail import last_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WATCH = 0.1
"""Seconds to watch the processes' cpu for."""


def run(argv: list[str]) -> int:
    """See ``rook show --help``. Raises NothingMatched."""
    parser = Parser(
        "show",
        "Show everything about some instances: command, processes, last exit, last lines of output.",
        ("rook show web", "rook show web:0 3", "rook show all --json"),
        words="SELECTOR...",
    )
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help=SELECTOR_HELP)
    parser.add_argument("-n", "--lines", type=count, default=5, metavar="N", help="lines of each log file")
    add_json(parser)
    options = parser.parse(argv)
    client = naming_client("show", options.selectors)
    _, details = client.request("GET", with_selectors("/v1/details", selectors(options.selectors)))
    if options.json:
        put(as_json(details))
        return 0
    with_cpu(details, _WATCH)
    colour, room = is_coloured(sys.stdout), terminal_width()
    put("\n\n".join("\n".join(block(one, _ends(one, options.lines), colour=colour, room=room)) for one in details))
    say_hints([one["row"] for one in details])
    return 0


def _ends(detail: dict[str, Any], lines: int) -> dict[str, LogEnd]:
    return {path: _end(path, lines) for path in (detail["log_out"], detail["log_err"])}


def _end(path: str, lines: int) -> LogEnd:
    try:
        said = [line.decode("utf-8", "replace") for line in last_lines(path, lines)]
        return LogEnd(os.stat(path).st_size, _rotated(path), said)
    except OSError as error:
        return LogEnd(None, 0, [f"({error.strerror})"])


def _rotated(path: str) -> int:
    """How many earlier files of this log there are."""
    folder, name = os.path.split(path)
    tails = (other.removeprefix(f"{name}.").removesuffix(".gz") for other in os.listdir(folder))
    return len({tail for tail in tails if tail.isdecimal()})
