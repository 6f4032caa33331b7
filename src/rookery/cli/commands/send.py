"""``rook send``: write a line to the stdin of apps."""

from __future__ import annotations

from rookery.cli.acting import mutating_client
from rookery.cli.output import as_json, put
from rookery.cli.parser import Parser, add_json
from rookery.cli.selecting import SELECTOR_HELP, selectors
from rookery.control import places
from rookery.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def run(argv: Sequence[str]) -> int:
    """See ``rook send --help``. Raises NothingMatched, UsageError, OperationFailed."""
    import os

    parser = Parser(
        "send",
        'Write a line to the stdin of an app that has stdin = "pipe". All of it or nothing; 4096 bytes at most.',
        ("rook send console 'reload config'", "rook send shell -- --help"),
        words="SELECTOR TEXT...",
    )
    parser.add_argument("selector", metavar="SELECTOR", help=SELECTOR_HELP)
    parser.add_argument("text", nargs="*", metavar="TEXT", help="the line; words are joined by a blank")
    parser.add_argument("--no-newline", action="store_true", help="send the text as it is")
    add_json(parser)
    ours, rest = list(argv), []
    if "--" in ours:
        at = ours.index("--")
        ours, rest = ours[:at], ours[at + 1 :]
    options = parser.parse(ours)
    words = [*options.text, *rest]
    if not words:
        raise UsageError("rook send needs a text", hint="rook send NAME 'a line'")
    text = " ".join(words) + ("" if options.no_newline else "\n")
    client = mutating_client(places.home(os.environ), [options.selector])
    _, rows = client.request("POST", "/v1/send", {"selectors": selectors([options.selector]), "text": text})
    if options.json:
        put(as_json(rows))
    else:
        for row in rows:
            put(f"{row['name']}:{row['index']}  sent {len(text.encode())} bytes")
    return 0
