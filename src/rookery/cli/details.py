"""One instance told in full, for ``rook show``. Pure: what it shows is handed to it."""

from __future__ import annotations

import shlex
import time
from typing import NamedTuple

from rookery._base.units import format_duration, format_size
from rookery.cli import cluster_words
from rookery.cli.output import BOLD, DIM, STATE_COLOURS, harmless, painted, stderr_lines
from rookery.cli.policy_words import limits, restart_policy, stop_plan
from rookery.cli.process_tree import drawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

_LABEL = 10


class LogEnd(NamedTuple):
    """The end of one log: its size in bytes (None: it cannot be read), its rotated files, and its last lines."""

    size: int | None
    rotated: int
    lines: Sequence[str]


def block(
    detail: dict[str, Any], logs: Mapping[str, LogEnd], *, colour: bool = False, room: int | None = None
) -> list[str]:
    """The lines about one InstanceDetail. logs: by path; room: characters per line for the processes."""
    facts = _facts(detail, logs, colour=colour, room=room)
    return [_headline(detail, colour=colour), *(f"  {line}" for line in facts)]


def _headline(detail: dict[str, Any], *, colour: bool) -> str:
    row = detail["row"]
    state = row["state"]
    text = painted(state, STATE_COLOURS.get(state), on=colour)
    if row["pid"] is not None:
        text += f" (pid {row['pid']})"
    if row["uptime"] is not None:
        text += f" for {format_duration(row['uptime'])}"
    if detail["next_restart"] is not None:
        text += f", starts again in {format_duration(detail['next_restart'])}"
    if state in ("backoff", "exited", "fatal") and row["exit"] is not None:
        text += f": {harmless(row['exit']['reason'])}"
    if state == "running" and not row["ready"]:
        text += ", not ready yet"
    if detail.get("status"):
        text += f": {harmless(detail['status'])}"
    mark = painted("●", STATE_COLOURS.get(state), on=colour)
    return f"{mark} {painted(_unit(row), BOLD, on=colour)} - {text}"


def _facts(detail: dict[str, Any], logs: Mapping[str, LogEnd], *, colour: bool, room: int | None) -> Iterator[str]:
    row, app = detail["row"], detail["app"]
    yield _fact("id", f"{row['id']}, namespace {row['namespace']}")
    yield _fact("since", f"{_moment(row['since'])}")
    yield _fact("command", shlex.join(app.get("command") or ()))
    yield _fact("cwd", app.get("cwd") or "")
    yield from (_fact(label, text) for label, text in cluster_words.facts(detail))
    if app.get("origin"):
        yield _fact("file", app["origin"])
    if app.get("user"):
        yield _fact("user", app["user"])
    env = app.get("env") or {}
    if env:
        yield _fact("env", "1 variable" if len(env) == 1 else f"{len(env)} variables")
        yield from (f"    {harmless(f'{name}={value}')}" for name, value in env.items())
    yield _fact("restarts", f"{row['restarts']}, {restart_policy(app)}")
    yield _fact("stop", stop_plan(app))
    if text := limits(app):
        yield _fact("limits", text)
    if row["cpu"] is not None and row["memory"] is not None:
        yield _fact("use", f"cpu {row['cpu']:.1f}%, memory {format_size(row['memory'])}")
    if row["exit"] is not None:
        lifetime = row["exit"].get("lifetime")
        lived = "" if lifetime is None else f" after {format_duration(lifetime)}"
        yield _fact("last exit", f"{row['exit']['reason']}{lived}, {_moment(row['exit']['at'])}")
        yield from (painted(f"    {line}", DIM, on=colour) for line in stderr_lines(row["exit"]))
    for place, line in enumerate(drawn(detail["tree"], room=None if room is None else room - _LABEL - 2)):
        yield f"{'' if place else 'processes':<{_LABEL}}{line}"
    out, err = detail["log_out"], detail["log_err"]
    for label, path in (("log", out),) if out == err else (("out", out), ("err", err)):
        end = logs.get(path, LogEnd(None, 0, ()))
        yield _fact(label, f"{path}{_measure(end)}")
        yield from (painted(f"    {harmless(line)}", DIM, on=colour) for line in end.lines)


def _measure(end: LogEnd) -> str:
    if end.size is None:
        return ""
    rotated = f" and {end.rotated} rotated" if end.rotated else ""
    return f"  ({format_size(end.size)}{rotated})"


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _unit(row: dict[str, Any]) -> str:
    return f"{row['name']}:{row['index']}"


def _fact(label: str, value: object) -> str:
    return f"{label:<{_LABEL}}{harmless(str(value))}".rstrip()
