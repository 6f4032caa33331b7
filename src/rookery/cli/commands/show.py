"""``rook show``: everything about some instances."""

from __future__ import annotations

import os
import sys

from rookery.cli.details import block
from rookery.cli.output import as_json, is_coloured, put
from rookery.cli.parser import Parser, add_json, count
from rookery.control import places
from rookery.control.client import with_selectors
from rookery.control.launch import reading_client
from rookery.errors import NothingMatched, UsageError
from rookery.logs.tail import last_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(argv: list[str]) -> int:
    """See ``rook show --help``. Raises NothingMatched."""
    parser = Parser(
        "show",
        "Show everything about some instances: command, processes, last exit, last lines of output.",
        ("rook show web", "rook show web:0 3", "rook show all --json"),
        words="SELECTOR...",
    )
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help="name, id, name:index, /regex/, all")
    parser.add_argument("-n", "--lines", type=count, default=5, metavar="N", help="lines of each log file")
    add_json(parser)
    options = parser.parse(argv)
    if not options.selectors:
        raise UsageError("rook show needs to know which apps", hint="a name or an id, or: rook show all")
    home = places.home(os.environ)
    client = reading_client(home)
    if client is None:
        raise NothingMatched(f"nothing matches {' '.join(options.selectors)}", why=f"no manager runs for {home}")
    _, details = client.request("GET", with_selectors("/v1/details", options.selectors))
    if options.json:
        put(as_json(details))
        return 0
    colour = is_coloured(sys.stdout)
    blocks = ["\n".join(block(detail, _tails(detail, options.lines), colour=colour)) for detail in details]
    put("\n\n".join(blocks))
    return 0


def _tails(detail: dict[str, Any], lines: int) -> dict[str, list[str]]:
    return {path: _tail(path, lines) for path in (detail["log_out"], detail["log_err"])}


def _tail(path: str, lines: int) -> list[str]:
    try:
        return [line.decode("utf-8", "replace") for line in last_lines(path, lines)]
    except OSError as error:
        return [f"({error.strerror})"]
