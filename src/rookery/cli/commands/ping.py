"""``rook ping``: whether the manager runs. Never starts one. On the hot path."""

from __future__ import annotations

import os

from rookery.cli.output import as_json, put
from rookery.cli.quick import quick
from rookery.control import places
from rookery.control.client import Client
from rookery.errors import UsageError


def run(argv: list[str]) -> int:
    """See ``rook ping --help``. Raises NoManager."""
    words, flags = quick(argv, ("--json",)) or _parsed(argv)
    if words:
        raise UsageError(f"rook ping takes no words such as {words[0]!r}", hint="see: rook ping --help")
    _, ping = Client(places.home(os.environ)).request("GET", "/v1/ping")
    if flags:
        put(as_json(ping))
        return 0
    from rookery._base.units import format_duration

    apps = "1 app" if ping["apps"] == 1 else f"{ping['apps']} apps"
    put(
        f"manager {ping['pid']} of {ping['home']} runs for {format_duration(ping['uptime'])}: "
        f"{apps}, version {ping['version']}"
    )
    return 0


def _parsed(argv: list[str]) -> tuple[list[str], set[str]]:
    from rookery.cli.parser import Parser, add_json

    parser = Parser(
        "ping",
        "Tell whether the manager runs (exit code 0) or not (4). Never starts one.",
        ("rook ping", "rook ping --json"),
    )
    add_json(parser)
    return [], {"--json"} if parser.parse(argv).json else set()
