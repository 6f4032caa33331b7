"""``rook upgrade``: put the installed version in charge, without touching an app."""

from __future__ import annotations

import os
import sys
import time

from rookery._os import kernel
from rookery.cli.output import as_json, put
from rookery.cli.parser import Parser, add_json, duration
from rookery.control import places
from rookery.control.client import Client
from rookery.errors import ControlError, OperationFailed, WaitExpired

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PAUSE = 0.05
_STEADY = 0.5
"""Seconds that the new manager must have answered for: keeper and collector follow it into the new version."""


def run(argv: list[str]) -> int:
    """See ``rook upgrade --help``. Raises NoManager, OperationFailed, WaitExpired."""
    parser = Parser(
        "upgrade",
        "Put this installed version in charge: manager, keeper and collector are replaced, apps go on untouched. "
        "A version that cannot start leaves the old one in charge.",
        ("rook upgrade", "pip install -U rookery && rook upgrade"),
    )
    parser.add_argument("--timeout", type=duration, default=30.0, metavar="TIME", help="wait no longer (default: 30s)")
    add_json(parser)
    options = parser.parse(argv)
    client = Client(places.home(os.environ))
    deadline = time.monotonic() + options.timeout
    _, before = client.request("GET", "/v1/ping")
    body = {"python": sys.executable, "root": places.package_root()}
    client.request("POST", "/v1/upgrade", body, timeout=options.timeout)
    after = _steady(client, before["pid"], deadline)
    if not {body["python"], body["root"]} <= set(kernel.command_line(after["pid"])):
        raise OperationFailed(
            "the new version did not stay up; the one before is in charge again", hint="see manager.log"
        )
    if options.json:
        put(as_json(after))
    else:
        put(f"manager {after['pid']} of version {after['version']} is in charge (before: {before['pid']})")
    return 0


def _steady(client: Client, before: int, deadline: float) -> dict[str, Any]:
    while time.monotonic() < deadline:
        try:
            _, ping = client.request("GET", "/v1/ping", timeout=max(0.1, deadline - time.monotonic()))
        except ControlError:
            ping = None
        if ping is not None and ping["pid"] != before and ping["uptime"] >= _STEADY:
            return dict(ping)
        time.sleep(_PAUSE)
    raise WaitExpired("the new manager is not steady yet", hint="see: rook ping, and manager.log")
