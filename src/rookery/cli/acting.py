"""What stop, restart and delete share: everything but the verb."""

from __future__ import annotations

import os

from rookery.cli.output import report, say
from rookery.cli.parser import Parser, add_json, add_waiting
from rookery.cli.selecting import SELECTOR_HELP, check_named, selectors
from rookery.control import places
from rookery.control.client import Client
from rookery.control.launch import ensure_manager, has_apps
from rookery.errors import NothingMatched, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MARGIN = 15.0
"""Seconds that the manager gets beyond the wait's limit to say that it has passed."""


def act(verb: str, argv: Sequence[str], *, about: str, examples: Sequence[str]) -> int:
    """Parse, ask the manager, report. Raises UsageError without a selector, NothingMatched without apps."""
    parser = Parser(verb, about, examples, words="SELECTOR...")
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help=SELECTOR_HELP)
    if verb == "restart":
        parser.add_argument("--update-env", action="store_true", help="give them your environment of now")
        parser.add_argument("--inherit-env", action="store_true", help="with --update-env: all of it")
    add_waiting(parser)
    add_json(parser)
    options = parser.parse(argv)
    check_named(verb, options.selectors)
    base_env = None
    if verb == "restart":
        base_env = updated_env(verb, update=options.update_env, inherit_all=options.inherit_env)
    chosen = selectors(options.selectors)
    client = mutating_client(places.home(os.environ), options.selectors)
    return request(
        client, verb, chosen, wait=options.wait, timeout=options.timeout, json=options.json, base_env=base_env
    )


def updated_env(verb: str, *, update: bool, inherit_all: bool) -> dict[str, str] | None:
    """What of our environment apps get from now on; None: they keep theirs. Raises UsageError."""
    from rookery.config.environment import base_environment

    if inherit_all and not update:
        raise UsageError("--inherit-env goes with --update-env", hint=f"rook {verb} NAME --update-env --inherit-env")
    return base_environment(os.environ, inherit_all=inherit_all) if update else None


def mutating_client(home: str, selectors: Sequence[str]) -> Client:
    """A client for a command that changes known apps; starts the manager if the state knows any.

    Raises NothingMatched where no manager runs and there is nothing to change.
    """
    if not Client(home).is_listening() and not has_apps(home):
        raise NothingMatched(
            f"nothing matches {' '.join(selectors)}",
            why=f"there are no apps in {home}",
            hint="start one with: rook start app.py",
        )
    return running_manager(home)


def running_manager(home: str) -> Client:
    """A client of the manager, which is started (and that is said) where none runs. Raises OperationFailed."""
    client = Client(home)
    if client.is_listening():
        return client
    say("starting the manager")
    return ensure_manager(home)


def request(
    client: Client,
    verb: str,
    selectors: Sequence[str],
    *,
    wait: str,
    timeout: float,
    json: bool,
    base_env: dict[str, str] | None = None,
) -> int:
    """Post one ActRequest and report its result; the exit code. base_env: what the apps get from now on."""
    body: dict[str, object] = {"selectors": list(selectors), "wait": wait, "timeout": timeout}
    if base_env is not None:
        body["base_env"] = base_env
    _, result = client.request("POST", f"/v1/{verb}", body, timeout=timeout + MARGIN)
    warn(client)
    return report(result, json=json)


def warn(client: Client) -> None:
    """Say what the manager wants everybody to know, as of the last answer."""
    if client.warning:
        say(f"warning: {client.warning}")
