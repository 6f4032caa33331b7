"""``rook wait``: until apps are as wanted."""

from __future__ import annotations

import time

from rookery.cli.looking import naming_client
from rookery.cli.output import report
from rookery.cli.parser import Parser, add_json, duration
from rookery.cli.selecting import SELECTOR_HELP, selectors
from rookery.control.client import with_query

_SLICE = 5.0
"""Seconds of one question: a change of managers in the middle of it costs no more."""
_MARGIN = 15.0


def run(argv: list[str]) -> int:
    """See ``rook wait --help``; 5 when the limit has passed, 1 where one became fatal. Raises NothingMatched."""
    parser = Parser(
        "wait",
        "Wait until apps are as wanted, without doing anything to them. Exit code 5: the limit passed; 1: one of them "
        "is fatal or was deleted.",
        (
            "rook wait web                     # ready, or alive for its min_uptime",
            "rook wait migrate --for exited --timeout 10m",
            "rook wait all --for stopped",
        ),
        words="SELECTOR...",
    )
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help=SELECTOR_HELP)
    parser.add_argument(
        "--for",
        dest="until",
        choices=("ready", "settled", "running", "stopped", "exited"),
        default="settled",
        metavar="WHAT",
        help="ready, settled, running, stopped (by itself or not), exited (by itself, for good)",
    )
    parser.add_argument("--timeout", type=duration, default=30.0, metavar="TIME", help="wait no longer (default: 30s)")
    add_json(parser)
    options = parser.parse(argv)
    client = naming_client("wait", options.selectors)
    pairs = [("select", selector) for selector in selectors(options.selectors)]
    deadline = time.monotonic() + options.timeout
    while True:
        limit = min(max(0.0, deadline - time.monotonic()), _SLICE)
        path = with_query("/v1/wait", [*pairs, ("for", options.until), ("timeout", f"{limit:.3f}")])
        _, result = client.request("GET", path, timeout=limit + _MARGIN)
        if not result["expired"] or time.monotonic() >= deadline:
            return report(result, json=options.json)
