"""``rook start``: run programs, apply config files, start known apps again."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import msgspec

from rookery.cli.acting import MARGIN, request, running_manager, warn
from rookery.cli.output import report, say
from rookery.cli.start_options import parse
from rookery.cli.start_target import described, may_be_known
from rookery.config.environment import base_environment
from rookery.config.system_values import cpus
from rookery.control import places
from rookery.control.client import Client, with_selectors
from rookery.control.launch import has_apps
from rookery.errors import NothingMatched, UsageError

if TYPE_CHECKING:
    from rookery.config.spec import AppSpec


def run(argv: list[str]) -> int:
    """See ``rook start --help``."""
    call = parse(argv)
    home = places.home(os.environ)
    if may_be_known(call) and (client := _client_of_known(home, call.words)) is not None:
        base_env = base_environment(os.environ) if call.update_env else None
        return request(
            client, "start", call.words, wait=call.wait, timeout=call.timeout, json=call.json, base_env=base_env
        )
    specs = described(call, cwd=os.getcwd())  # before a manager is started for a mistake
    files = [] if call.only else sorted({spec.origin for spec in specs if spec.origin})
    if call.prune and not files:
        raise UsageError("--prune needs a whole config file", hint="rook start rook.toml --prune, without --only")
    client = running_manager(home)
    if sys.stderr.isatty() and not call.json and call.wait != "none":
        say(f"starting {', '.join(spec.name for spec in specs)}")
    body: dict[str, object] = {
        "specs": [msgspec.to_builtins(spec) for spec in specs],
        "base_env": base_environment(os.environ, inherit_all=call.inherit_env),
        "wait": call.wait,
        "timeout": call.timeout,
    }
    if files:  # a manager of an earlier version does not know these words
        body |= {"files": files, "prune": call.prune}
    _, result = client.request("POST", "/v1/apply", body, timeout=call.timeout + MARGIN)
    warn(client)
    code = report(result, json=call.json)
    if not call.json:
        _tell_of_ports(client, specs)
    _tell_of_left(result.get("left") or [], files)
    return code


def _tell_of_left(left: list[str], files: list[str]) -> None:
    """Apps that were in the file before go on; nobody should have to find that out by accident."""
    if left:
        names = ", ".join(left)
        say(f"no longer in {', '.join(files)}, and still there: {names}")
        say(f"hint: rook delete {' '.join(left)}, or: rook start {files[0]} --prune")


def _tell_of_ports(client: Client, specs: list[AppSpec]) -> None:
    """Where they can be asked: nobody should have to know what the default is, or which port was free."""
    listening = [spec for spec in specs if spec.bind]
    if not listening:
        return
    for spec in listening:
        if spec.instances > cpus():
            say(f"warning: {spec.instances} instances of {spec.name} share {cpus()} CPUs")
    _, rows = client.request(
        "GET", with_selectors("/v1/instances", [f"/^{re.escape(one.name)}$/" for one in listening])
    )
    for name, bind in dict.fromkeys(
        (row["name"], row["bind"]) for row in rows if row["bind"] and row["state"] == "running"
    ):
        say(f"{name} listens at {bind}")


def _client_of_known(home: str, words: list[str]) -> Client | None:
    """A client, where each of the words selects known apps; else None. Raises NothingMatched for ``all`` of none."""
    if Client(home).is_listening() or has_apps(home):
        client = running_manager(home)
        try:
            client.request("GET", with_selectors("/v1/instances", words))
        except (NothingMatched, UsageError):  # also: no selector at all, but perhaps a program
            pass
        else:
            return client
    if words == ["all"]:
        raise NothingMatched("there are no apps to start", hint="start one with: rook start app.py")
    return None
