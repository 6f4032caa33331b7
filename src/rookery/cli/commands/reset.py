"""``rook reset``: set counters to zero."""

from __future__ import annotations

import os

from rookery.cli.acting import mutating_client
from rookery.cli.output import as_json, put
from rookery.cli.parser import Parser, add_json
from rookery.cli.selecting import SELECTOR_HELP, check_named, selectors
from rookery.control import places


def run(argv: list[str]) -> int:
    """See ``rook reset --help``. Raises NothingMatched, UsageError."""
    parser = Parser(
        "reset",
        "Set the counters of restarts to zero, and with them the waits between restarts.",
        ("rook reset web", "rook reset all"),
        words="SELECTOR...",
    )
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help=SELECTOR_HELP)
    add_json(parser)
    options = parser.parse(argv)
    check_named("reset", options.selectors)
    chosen = selectors(options.selectors)
    client = mutating_client(places.home(os.environ), chosen)
    _, rows = client.request("POST", "/v1/reset", {"selectors": chosen})
    if options.json:
        put(as_json(rows))
    else:
        for row in rows:
            put(f"{row['name']}:{row['index']}  reset")
    return 0
