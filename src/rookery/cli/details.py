"""One instance told in full, for ``rook show``. Pure: what it shows is handed to it."""

from __future__ import annotations

import shlex
import time

from rookery._base.units import format_duration, format_size
from rookery.cli.output import BOLD, DIM, STATE_COLOURS, harmless, painted, stderr_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

_LABEL = 10


def block(detail: dict[str, Any], tails: Mapping[str, Sequence[str]], *, colour: bool = False) -> list[str]:
    """The lines about one InstanceDetail. tails: the last lines of its log files, by path."""
    return [_headline(detail, colour=colour), *(f"  {line}" for line in _facts(detail, tails, colour=colour))]


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
    if state == "running" and not row["ready"]:
        text += ", not ready yet"
    if detail.get("status"):
        text += f": {harmless(detail['status'])}"
    mark = painted("●", STATE_COLOURS.get(state), on=colour)
    return f"{mark} {painted(_unit(row), BOLD, on=colour)} - {text}"


def _facts(detail: dict[str, Any], tails: Mapping[str, Sequence[str]], *, colour: bool) -> Iterator[str]:
    row, app = detail["row"], detail["app"]
    yield _fact("id", f"{row['id']}, namespace {row['namespace']}")
    yield _fact("command", shlex.join(app.get("command") or ()))
    yield _fact("cwd", app.get("cwd") or "")
    if app.get("origin"):
        yield _fact("file", app["origin"])
    if app.get("user"):
        yield _fact("user", app["user"])
    for name, value in (app.get("env") or {}).items():
        yield _fact("env", f"{name}={value}")
    yield _fact("restarts", f"{row['restarts']}, policy {app.get('restart', '?')}")
    if row["cpu"] is not None and row["memory"] is not None:
        yield _fact("use", f"cpu {row['cpu']:.1f}%, memory {format_size(row['memory'])}")
    if row["exit"] is not None:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["exit"]["at"]))
        yield _fact("last exit", f"{row['exit']['reason']}, {at}")
        yield from (painted(f"    {line}", DIM, on=colour) for line in stderr_lines(row["exit"]))
    for place, line in enumerate(tree(detail["tree"])):
        yield f"{'' if place else 'processes':<{_LABEL}}{line}"
    out, err = detail["log_out"], detail["log_err"]
    for label, path in (("log", out),) if out == err else (("out", out), ("err", err)):
        yield _fact(label, path)
        yield from (painted(f"    {harmless(line)}", DIM, on=colour) for line in tails.get(path, ()))


def tree(processes: Sequence[dict[str, Any]]) -> list[str]:
    """Processes, each below its parent and indented by its depth; one whose parent is not among them is a root."""
    known = {process["pid"] for process in processes}
    children: dict[int | None, list[dict[str, Any]]] = {}
    for process in processes:
        children.setdefault(process["ppid"] if process["ppid"] in known else None, []).append(process)
    lines: list[str] = []
    todo = [(process, 0) for process in reversed(children.get(None, []))]
    while todo:
        process, depth = todo.pop()
        use = format_size(process["memory"])
        lines.append(f"{'  ' * depth}{process['pid']} {harmless(process['command'])}  {use}")
        todo += [(child, depth + 1) for child in reversed(children.get(process["pid"], []))]
    return lines


def _unit(row: dict[str, Any]) -> str:
    return f"{row['name']}:{row['index']}"


def _fact(label: str, value: object) -> str:
    return f"{label:<{_LABEL}}{harmless(str(value))}".rstrip()
