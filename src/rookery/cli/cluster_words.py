"""What serves a port, in words, from AppSpecs and what the manager says of it; pure.

What an older manager leaves out is left out.
"""

from __future__ import annotations

import shlex

from rookery._base.units import format_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from rookery.config.spec import AppSpec

_SHORT = 1.0


def what_runs(spec: AppSpec) -> str:
    """The command, or the app and what imports it."""
    command = shlex.join(spec.command)
    return f"{spec.app} by {command}" if spec.app else command


def where(spec: AppSpec) -> str:
    """Where it listens and how connections are spread; "" where it does not."""
    return f"{', '.join(spec.bind)}, balance {spec.balance}" if spec.bind else ""


def facts(detail: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Labels and texts about one worker (an InstanceDetail); none where it shares no port."""
    row, app = detail["row"], detail["app"]
    if not (row.get("bind") or app.get("bind")):
        return
    if app.get("app"):
        yield "app", f"{app['app']} ({app.get('kind', 'app')})"
    yield "bind", f"{row.get('bind') or ', '.join(app['bind'])}, balance {app.get('balance', 'shared')}"
    if row.get("requests") is not None:
        yield "requests", _requests(row)
    if row.get("latency"):
        yield "latency", ", ".join(f"{name} {_seconds(value)}" for name, value in row["latency"].items())
    if row.get("heartbeat") is not None:
        yield "alive", f"{_seconds(row['heartbeat'])} ago"
    for one in detail.get("beside") or ():
        role = {"rising": "the next one, starting", "draining": "the one before, answering what it has"}
        age = "" if one.get("uptime") is None else f", {format_duration(one['uptime'])} old"
        yield "beside", f"pid {one['pid'] or '-'}: {role.get(one['role'], one['role'])}{age}"


def _requests(row: Mapping[str, Any]) -> str:
    text = f"{row['requests']}, {row.get('errors') or 0} errors, {row.get('in_flight') or 0} in flight"
    if row.get("requests_per_second") is not None:
        text += f", {row['requests_per_second']:.1f}/s"
    if row.get("connections") is not None:
        text += f", {row['connections']} connections"
    return text


def _seconds(value: float) -> str:
    return f"{1000 * value:.3g}ms" if value < _SHORT else format_duration(value)
