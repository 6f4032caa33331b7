"""``rook signal``: send a signal to apps."""

from __future__ import annotations

import os

from rookery.cli.acting import mutating_client
from rookery.cli.output import as_json, put
from rookery.cli.parser import Parser, add_json
from rookery.cli.selecting import SELECTOR_HELP, selectors
from rookery.control import places
from rookery.errors import UsageError


def run(argv: list[str]) -> int:
    """See ``rook signal --help``. Raises NothingMatched, UsageError, OperationFailed."""
    parser = Parser(
        "signal",
        "Send a signal to running apps: to the process that was started, or to all of its tree. What it does is the "
        "app's business; one that ends by it is restarted by its policy.",
        ("rook signal HUP web", "rook signal 10 web:1 worker", "rook signal USR1 shop --tree"),
        words="SIGNAL SELECTOR...",
    )
    parser.add_argument("signal", nargs="?", metavar="SIGNAL", help="its name, with or without SIG, or its number")
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help=SELECTOR_HELP)
    parser.add_argument("--tree", action="store_true", help="to everything that belongs to the app")
    add_json(parser)
    options = parser.parse(argv)
    if options.signal is None or not options.selectors:
        raise UsageError("rook signal needs a signal and an app", hint="rook signal HUP web")
    chosen = selectors(options.selectors)
    client = mutating_client(places.home(os.environ), chosen)
    body = {"selectors": chosen, "signal": options.signal, "tree": options.tree}
    _, sent = client.request("POST", "/v1/signal", body)
    if options.json:
        put(as_json(sent))
    else:
        for one in sent:
            whom = f"pid {one['pid']}" if not options.tree else f"{one['processes']} of its processes"
            put(f"{one['name']}:{one['index']}  sent {one['signal']} to {whom}")
    return 0
