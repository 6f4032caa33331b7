"""``rook check``: what is wrong in config files, and what they would start."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import msgspec

from rookery.cli.cluster_words import what_runs, where
from rookery.cli.output import RED, as_json, harmless, is_coloured, painted, put, say
from rookery.cli.parser import Parser, add_json
from rookery.cli.start_target import DEFAULT_FILE
from rookery.config.environment import mask, mask_options
from rookery.config.toml import Examined, examine
from rookery.errors import ConfigError, UsageError
from rookery.logs.names import Naming, first_clash

if TYPE_CHECKING:
    from typing import Any

    from rookery.config.spec import AppSpec

_MISTAKE = 2


def run(argv: list[str]) -> int:
    """See ``rook check --help``. Returns 2 where a file has a mistake."""
    parser = Parser(
        "check",
        "Say what is wrong in config files, all of it, with file, line and key; else what they would start.",
        (
            "rook check                          ./rook.toml",
            "rook check rook.toml --env production",
            "rook check --json",
            "rook check --schema > rook.schema.json   for editors",
        ),
        words="[FILE...]",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"config files; none: ./{DEFAULT_FILE}")
    parser.add_argument("--env", metavar="PROFILE", help="the environment profile to look at")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of rook.toml, and nothing else")
    add_json(parser)
    options = parser.parse(argv)
    if options.schema:
        if options.files or options.env:
            raise UsageError("--schema goes with no file and no --env", hint="rook check --schema")
        from rookery.config.schema import json_schema

        put(as_json(json_schema()))
        return 0
    files = options.files or [DEFAULT_FILE]
    found = {file: _examined(file, options.env) for file in files}
    if options.json:
        put(as_json([_as_json(file, one) for file, one in found.items()]))
    else:
        _print(found)
    return _MISTAKE if any(one.problems for one in found.values()) else 0


def _examined(file: str, profile: str | None) -> Examined:
    try:
        found = examine(file, profile=profile)
    except ConfigError as error:
        return Examined([], [error])
    clash = None if found.problems else first_clash([_naming(spec) for spec in found.specs], [])
    if clash is None:
        return found
    one, other, log = clash
    problem = f"it would write to the same log file as {other.name}, {log}"
    hint = "give one of them another name or another logs.merge"
    return Examined(found.specs, [ConfigError(problem, file=file, key=f"apps.{one.name}", hint=hint)])


def _naming(spec: AppSpec) -> Naming:
    return Naming(spec.name, spec.logs.merge, spec.instances, spec.logs.combined)


def _print(found: dict[str, Examined]) -> None:
    colour = is_coloured(sys.stdout)
    for file, (specs, problems) in found.items():
        for problem in problems:
            put(painted(harmless(problem.what), RED, on=colour))
            if problem.hint:
                put(f"  hint: {harmless(problem.hint)}")
        if problems:
            say(f"{file}: {_count(len(problems), 'problem')}; nothing of it can be started")
            continue
        put(f"{file}: no mistake, {_count(len(specs), 'app')}")
        for spec in specs:
            put("\n".join(f"  {line}" for line in described(spec)))


def described(spec: AppSpec) -> list[str]:
    """What starting an app would do, in a few lines."""
    lines = [f"{spec.name}: {_count(spec.instances, 'instance')} of {harmless(what_runs(spec))}"]
    lines.append(f"  in {spec.cwd}, namespace {spec.namespace}")
    if spec.bind:
        lines.append(f"  serving {where(spec)}")
    who = [f"{kind} {name}" for kind, name in (("user", spec.user), ("group", spec.group)) if name is not None]
    if who:
        lines.append(f"  as {', '.join(who)}")
    if spec.env:
        lines.append(f"  with {', '.join(f'{name}={harmless(value)}' for name, value in mask(spec.env).items())}")
    if spec.logs.via == "stdout":
        lines.append('  for rook up only: logs.via = "stdout"')
    return lines


def _as_json(file: str, one: Examined) -> dict[str, Any]:
    return {
        "file": os.path.abspath(file),
        "ok": not one.problems,
        "problems": [
            {
                "file": problem.file or file,
                "line": problem.line,
                "key": problem.key,
                "problem": problem.problem,
                "hint": problem.hint,
            }
            for problem in one.problems
        ],
        "apps": [
            msgspec.to_builtins(msgspec.structs.replace(spec, env=mask(spec.env), options=mask_options(spec.options)))
            for spec in one.specs
        ],
    }


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
