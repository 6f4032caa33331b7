"""``rook env``: what is in the environment of apps."""

from __future__ import annotations

import sys

from rookery.cli.looking import naming_client
from rookery.cli.output import BOLD, as_json, harmless, is_coloured, painted, put, say
from rookery.cli.parser import Parser, add_json
from rookery.cli.selecting import SELECTOR_HELP, selectors
from rookery.control.client import with_query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def run(argv: list[str]) -> int:
    """See ``rook env --help``. Raises NothingMatched, UsageError."""
    parser = Parser(
        "env",
        "Show the environment that the next start of an app gets, and where the running process has another one. "
        "Values that look like secrets are shown as ***.",
        ("rook env web", "rook env web:1 --show-secrets", "rook env all --json"),
        words="SELECTOR...",
    )
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help=SELECTOR_HELP)
    parser.add_argument("--show-secrets", action="store_true", help="show the values of secrets")
    add_json(parser)
    options = parser.parse(argv)
    client = naming_client("env", options.selectors)
    pairs = [("select", selector) for selector in selectors(options.selectors)]
    pairs += [("show_secrets", "1")] if options.show_secrets else []
    _, found = client.request("GET", with_query("/v1/env", pairs))
    if options.json:
        put(as_json(found))
        return 0
    colour = is_coloured(sys.stdout)
    for number, one in enumerate(found):
        if len(found) > 1:
            put(("\n" if number else "") + painted(f"# {one['name']}:{one['index']}", BOLD, on=colour))
        for line in lines(one):
            put(harmless(line))
        if one["made_at_start"]:
            say(f"{', '.join(one['made_at_start'])}: made anew for each copy of {one['name']}:{one['index']}")
    return 0


def lines(one: dict[str, Any]) -> Iterator[str]:
    """``NAME=value`` in order, and as comments what is otherwise in the running process."""
    coming, running = one["next"], one["running"]
    for name in sorted(coming):
        yield f"{name}={coming[name]}"
    if running is None:
        return
    for name in sorted({*coming, *running} - {"ROOKERY_UNIT", *one["made_at_start"]}):
        if name not in running:
            yield f"# not in the running process: {name}"
        elif running[name] != coming.get(name):
            yield f"# in the running process: {name}={running[name]}"
