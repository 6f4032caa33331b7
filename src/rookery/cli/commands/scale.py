"""``rook scale``: more or fewer instances of an app."""

from __future__ import annotations

import os

from rookery.cli.acting import MARGIN, mutating_client, warn
from rookery.cli.output import report
from rookery.cli.parser import Parser, add_json, add_waiting
from rookery.control import places
from rookery.errors import UsageError


def run(argv: list[str]) -> int:
    """See ``rook scale --help``. Raises NothingMatched, UsageError."""
    parser = Parser(
        "scale",
        "Give an app more or fewer instances. The highest indexes go, gracefully; the number is remembered until the "
        "app is described anew.",
        ("rook scale web 4", "rook scale web +2", "rook scale web -1", "rook scale web max   # one per CPU"),
        words="NAME N",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the app")
    parser.add_argument("count", nargs="?", metavar="N", help="4, +2, -1, max (one per CPU) or half")
    add_waiting(parser)
    add_json(parser)
    # argparse takes -1 for an option, unless it is told.
    options = parser.parse([word if not _is_minus(word) else f" {word}" for word in argv])
    if options.name is None or options.count is None:
        raise UsageError("rook scale needs an app and a number", hint="rook scale web 4, or: rook scale web +1")
    client = mutating_client(places.home(os.environ), [options.name])
    body = {
        "name": options.name,
        "instances": options.count.strip(),
        "wait": options.wait,
        "timeout": options.timeout,
    }
    _, result = client.request("POST", "/v1/scale", body, timeout=options.timeout + MARGIN)
    warn(client)
    return report(result, json=options.json)


def _is_minus(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and word[1:].isdecimal()
