"""``rook diff``: what ``rook start FILE`` would change."""

from __future__ import annotations

import os
import sys

from rookery.cli.cluster_words import what_runs
from rookery.cli.known_apps import known_apps
from rookery.cli.output import DIM, GREEN, RED, YELLOW, as_json, harmless, is_coloured, painted, put
from rookery.cli.parser import Parser, add_json
from rookery.cli.start_target import DEFAULT_FILE
from rookery.config.compare import Difference, compare, masked, shown
from rookery.config.toml import load_file
from rookery.control import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rookery.config.spec import AppSpec

_MARKS = {
    "new": ("+", GREEN),
    "changed": ("~", YELLOW),
    "scaled": ("~", YELLOW),
    "down": ("~", YELLOW),
    "unchanged": ("=", DIM),
    "left": ("-", RED),
}


def run(argv: list[str]) -> int:
    """See ``rook diff --help``. Raises ConfigError, NothingMatched; 1 for differences, where that is asked for."""
    parser = Parser(
        "diff",
        "Show what rook start would change with these files: apps that are new, changed (key by key), of another "
        "number, down, or no longer in the file. Changes nothing.",
        (
            "rook diff                              with ./rook.toml",
            "rook diff rook.toml --env production",
            "rook diff rook.toml --only web",
            "rook diff --exit-code || rook start    start it only where that changes something",
        ),
        words="[FILE...]",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"config files; none: ./{DEFAULT_FILE}")
    parser.add_argument("--env", metavar="PROFILE", help="the environment profile to use")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this app of the file; may be repeated")
    parser.add_argument("--exit-code", action="store_true", help="end with 1 where there are differences")
    add_json(parser)
    options = parser.parse(argv)
    files = options.files or [DEFAULT_FILE]
    only = options.only or []
    specs = [spec for file in files for spec in load_file(file, only=only, profile=options.env)]
    origins = [] if only else [os.path.abspath(file) for file in files]
    found = compare(specs, known_apps(places.home(os.environ)), origins)
    if options.json:
        put(as_json([_as_json(one) for one in found]))
    else:
        colour = is_coloured(sys.stdout)
        described = {spec.name: spec for spec in specs}
        put("\n".join(line for one in found for line in lines(one, described.get(one.name), colour=colour)))
    return 1 if options.exit_code and any(one.kind not in ("unchanged", "left") for one in found) else 0


def lines(one: Difference, spec: AppSpec | None, *, colour: bool = False) -> list[str]:
    """The lines about one app. spec: as the file describes it, None where it does not."""
    mark, paint = _MARKS[one.kind]
    text = [painted(f"{mark} {one.name}: {_said(one, spec)}", paint, on=colour)]
    text += [
        f"    {change.key}: {harmless(shown(change.key, change.old))} -> {harmless(shown(change.key, change.new))}"
        + (" (differs)" if change.old == change.new else "")
        for change in map(masked, one.changes)
    ]
    if one.kind == "changed" and one.before != one.after:
        text.append(f"    instances: {one.before} -> {one.after}")
    if one.elsewhere:
        text.append(f"    until now it came from {one.elsewhere}")
    return text


def _said(one: Difference, spec: AppSpec | None) -> str:
    if one.kind == "new":
        command = "" if spec is None else f" of {harmless(what_runs(spec))}"
        return f"new, {_instances(one.after)}{command}"
    if one.kind == "changed":
        how = "replaced, new before old" if spec is not None and spec.bind else "restarted"
        return f"changed, {_instances(min(one.before, one.after))} {how}"
    if one.kind == "scaled":
        more = one.after - one.before
        down = f"; {one.down} of the {one.before} are down, what stays of them would be started" if one.down else ""
        return f"{_instances(abs(more))} {'more' if more > 0 else 'less'}: {one.before} -> {one.after}{down}"
    if one.kind == "down":
        return f"as it is described, but {_instances(one.down)} of {one.before} would be started"
    if one.kind == "left":
        return f"not in the file any more; it goes on until: rook delete {one.name}"
    return "unchanged"


def _instances(number: int) -> str:
    return "1 instance" if number == 1 else f"{number} instances"


def _as_json(one: Difference) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "instances": {"before": one.before, "after": one.after, "down": one.down},
        "changes": [change._asdict() for change in map(masked, one.changes)],
        "elsewhere": one.elsewhere,
    }
