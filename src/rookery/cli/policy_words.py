"""An app's rules in words, from its AppSpec as JSON. Pure; keys that an older manager does not know are left out."""

from __future__ import annotations

from rookery._base.units import format_duration, format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WHEN = {"always": "always restarted", "on-failure": "restarted after a failure", "never": "never restarted"}


def restart_policy(app: dict[str, Any]) -> str:
    """When it is started again, how soon, and when not any more."""
    when = app.get("restart", "always")
    text = str(_WHEN.get(when, when))
    codes = [code for code in app.get("ok_exit_codes") or () if code != 0]
    if codes:
        text += f" (exit {', '.join(map(str, codes))} is no failure)"
    if when == "never":
        return text
    backoff = app.get("backoff") or {}
    if {"base", "cap"} <= backoff.keys():
        text += f", waiting {format_duration(backoff['base'])} to {format_duration(backoff['cap'])} in a crash loop"
    if app.get("restart_delay"):
        text += f" and {format_duration(app['restart_delay'])} before each"
    if most := app.get("max_restarts"):
        text += f", given up after {most['count']} within {format_duration(most['window'])}"
    return text


def stop_plan(app: dict[str, Any]) -> str:
    """How it is stopped."""
    whom = "its first process" if app.get("stop_scope") == "leader" else "all its processes"
    limit = format_duration(app.get("graceful_timeout", 10.0))
    return f"{app.get('stop_signal', 'SIGTERM')} to {whom}, SIGKILL after {limit}"


def limits(app: dict[str, Any]) -> str:
    """Its resource limits; "" where it has none of its own."""
    given = app.get("limits") or {}
    shown = {
        "memory": format_size,
        "core": format_size,
        "cpu_time": format_duration,
    }
    return ", ".join(
        f"{key.replace('_', ' ')} {shown.get(key, str)(value)}" for key, value in given.items() if value is not None
    )
