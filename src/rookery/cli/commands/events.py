"""``rook events``: what has happened, and with -f what happens."""

from __future__ import annotations

import json
import sys
import time

from rookery.cli.looking import looking_client
from rookery.cli.output import RED, STATE_COLOURS, as_json, harmless, is_coloured, output_pipe, painted, put, say
from rookery.cli.parser import Parser, count
from rookery.cli.selecting import SELECTOR_HELP, selectors
from rookery.control.client import with_query
from rookery.control.follow import follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LOUD = ("exit", "start_failed", "reload_failed", "worker_stuck", "log_full", "log_dropped", "gap")


def run(argv: list[str]) -> int:
    """See ``rook events --help``. Raises NothingMatched, UsageError, NoManager."""
    parser = Parser(
        "events",
        "Show what has happened: starts, exits, changes of state, what was asked for. The manager keeps the last 1000; "
        "a new manager begins anew. Ctrl-C ends following.",
        (
            "rook events web",
            "rook events -f",
            "rook events --type exit --type start_failed",
            "rook events -f --json | jq .reason",
        ),
        words="[SELECTOR...]",
    )
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help=SELECTOR_HELP)
    parser.add_argument("-n", "--lines", type=count, default=50, metavar="N", help="how many of the last ones")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument(
        "--type", action="append", metavar="TYPE", help="only of this type; may be repeated (default: all)"
    )
    parser.add_argument("--since", metavar="ID", help="only after this one: EPOCH.SEQ, or SEQ (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON; with -f an object per line")
    options = parser.parse(argv)
    client = looking_client(options.selectors)
    if client is None:
        if options.json:
            put("[]")
        say("no manager runs, so nothing is known of what happened")
        return 0
    pairs = [("select", selector) for selector in selectors(options.selectors)]
    pairs += [("type", kind) for kind in options.type or ()]
    since = [("since", options.since)] if options.since else []
    _, found = client.request("GET", with_query("/v1/events", [*pairs, *since]))
    last = f"{found[-1]['epoch']}.{found[-1]['seq']}" if found else options.since or ""
    found = found[-options.lines :] if options.lines else []
    colour = is_coloured(sys.stdout)
    if options.json and not options.follow:
        put(as_json(found))
        return 0
    for event in found:
        put(json.dumps(event) if options.json else line(event, colour=colour))
    if options.follow:
        sys.stdout.flush()
        for told in follow(client, with_query("/v1/events", pairs), after=last, reader=output_pipe()):
            put(told.data if options.json else line(json.loads(told.data), colour=colour))
            sys.stdout.flush()
    return 0


def line(event: dict[str, Any], *, colour: bool = False) -> str:
    """One event for people: when, who, what, why."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["time"]))
    who = event["name"] if event["index"] is None else f"{event['name']}:{event['index']}"
    what = event["type"]
    if event["before"] or event["after"]:
        after = painted(event["after"], STATE_COLOURS.get(event["after"]), on=colour)
        what = f"{what} {event['before']} -> {after}"
    elif what in _LOUD:
        what = painted(what, RED, on=colour)
    why = harmless(event["path"] + (": " if event["path"] and event["reason"] else "") + event["reason"])
    lines = f" ({event['lines']} lines)" if event["lines"] else ""
    return f"{at}  {who or '-'}  {what}  {why}{lines}".rstrip()
