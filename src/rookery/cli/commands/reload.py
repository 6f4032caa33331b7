"""``rook reload``: replace what runs, one after the other, without failing a request."""

from __future__ import annotations

import os
import sys

import msgspec

from rookery.cli.acting import MARGIN, mutating_client, request, running_manager, updated_env, warn
from rookery.cli.output import report, say
from rookery.cli.parser import Parser, add_json, add_waiting
from rookery.cli.selecting import SELECTOR_HELP, check_named
from rookery.config.environment import base_environment
from rookery.config.toml import load_file
from rookery.control import places
from rookery.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def run(argv: list[str]) -> int:
    """See ``rook reload --help``. Raises UsageError, ConfigError, NothingMatched."""
    parser = Parser(
        "reload",
        "Replace the instances of apps one after the other. Those that share a port: a new one is started beside the "
        "old one, and when it is ready the old one takes no more connections, answers what it has, and goes; where "
        "the new code does not come up the old instances go on as if nothing had been. Others are restarted one by "
        "one. A config file is read anew.",
        (
            "rook reload web",
            "rook reload web --update-env          with your environment of now",
            "rook reload rook.toml                 what the file says now",
            "rook reload rook.toml --env production --only web",
        ),
        words="SELECTOR...",
    )
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help=SELECTOR_HELP)
    parser.add_argument("--update-env", action="store_true", help="give them your environment of now (files: always)")
    parser.add_argument("--inherit-env", action="store_true", help="all of it")
    parser.add_argument("--env", metavar="PROFILE", help="the config file's environment profile to use")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this app of the file; may be repeated")
    add_waiting(parser, timeout="5m")
    add_json(parser)
    options = parser.parse(argv)
    check_named("reload", options.selectors)
    files = [word for word in options.selectors if word.endswith(".toml")]
    if files:
        return _apply(options, files)
    for flag, value in (("--env", options.env), ("--only", options.only)):
        if value:
            raise UsageError(f"{flag} goes with a config file", hint="rook reload rook.toml")
    base_env = updated_env("reload", update=options.update_env, inherit_all=options.inherit_env)
    client = mutating_client(places.home(os.environ), options.selectors)
    return request(
        client,
        "reload",
        options.selectors,
        wait=options.wait,
        timeout=options.timeout,
        json=options.json,
        base_env=base_env,
    )


def _apply(options: argparse.Namespace, files: list[str]) -> int:
    """The same with what files say now. Raises UsageError where other selectors stand beside them."""
    others = [word for word in options.selectors if word not in files]
    if others:
        raise UsageError(f"{others[0]!r} does not go with a config file", hint=f"rook reload {files[0]} --only NAME")
    specs = [spec for file in files for spec in load_file(file, only=options.only or (), profile=options.env)]
    client = running_manager(places.home(os.environ))
    if sys.stderr.isatty() and not options.json and options.wait != "none":
        say(f"reloading {', '.join(spec.name for spec in specs)}")
    body = {
        "specs": [msgspec.to_builtins(spec) for spec in specs],
        "base_env": base_environment(os.environ, inherit_all=options.inherit_env),
        "wait": options.wait,
        "timeout": options.timeout,
        "files": [] if options.only else sorted({spec.origin for spec in specs}),
        "reload": True,
    }
    _, result = client.request("POST", "/v1/apply", body, timeout=options.timeout + MARGIN)
    warn(client)
    return report(result, json=options.json)
