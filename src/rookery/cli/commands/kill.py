"""``rook kill``: stop all apps and the manager."""

from __future__ import annotations

import os
import time

from rookery.cli.output import report, say
from rookery.cli.parser import Parser, add_json, duration
from rookery.control import places
from rookery.control.client import Client
from rookery.control.launch import wait_until_gone
from rookery.errors import LinkError, NoManager, OperationFailed, WaitExpired


def run(argv: list[str]) -> int:
    """See ``rook kill --help``. Raises NoManager, WaitExpired."""
    parser = Parser(
        "kill",
        "Stop all apps, the log collector, the manager and its keeper. What should run is remembered: rook start all.",
        ("rook kill", "rook kill --timeout 2m", "rook --home /srv/rookery kill"),
    )
    parser.add_argument("--timeout", type=duration, default=60.0, metavar="TIME", help="wait no longer (default: 1m)")
    add_json(parser)
    options = parser.parse(argv)
    home = places.home(os.environ)
    deadline = time.monotonic() + options.timeout
    try:
        _, result = Client(home).request("POST", "/v1/kill", timeout=options.timeout)
    except NoManager as error:
        error.hint = ""  # "start an app" is not what somebody wants who stops everything
        raise
    except OperationFailed as error:
        if isinstance(error.__cause__, TimeoutError):
            raise _still_there(home, options.timeout) from error
        if not isinstance(error.__cause__, LinkError):
            raise
        result = {"outcomes": []}  # it was gone before its answer was
    code = report(result, json=options.json)
    if not wait_until_gone(home, timeout=max(0.0, deadline - time.monotonic())):
        raise _still_there(home, options.timeout)
    if not options.json:
        say("the manager has stopped")
    return code


def _still_there(home: str, timeout: float) -> WaitExpired:
    return WaitExpired(f"the manager is still there after {timeout:g} s", hint=f"look into {places.manager_log(home)}")
