"""``rook flush``: empty log files."""

from __future__ import annotations

import os

from rookery.cli.acting import mutating_client
from rookery.cli.output import as_json, put
from rookery.cli.parser import Parser, add_json
from rookery.cli.selecting import SELECTOR_HELP, selectors
from rookery.control import places

_DEADLINE = 30.0


def run(argv: list[str]) -> int:
    """See ``rook flush --help``. Raises NothingMatched, OperationFailed."""
    parser = Parser(
        "flush",
        "Empty the log files of apps, rotated ones too. What they say from now on is written as ever.",
        ("rook flush", "rook flush web worker:1"),
        words="[SELECTOR...]",
    )
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help=f"{SELECTOR_HELP}; all when left out")
    add_json(parser)
    options = parser.parse(argv)
    chosen = selectors(options.selectors)
    client = mutating_client(places.home(os.environ), chosen or ["all"])
    _, result = client.request("POST", "/v1/flush", {"selectors": chosen}, timeout=_DEADLINE)
    files = "1 log file" if result["emptied"] == 1 else f"{result['emptied']} log files"
    put(as_json(result) if options.json else f"emptied {files}")
    return 0
