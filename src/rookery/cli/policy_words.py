"""An app's rules in words, from its AppSpec as JSON. Pure; keys that an older manager does not know are left out."""

from __future__ import annotations

from rookery._base.units import format_duration, format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DEFAULT = {"base": 0.1, "factor": 2.0, "cap": 30.0, "jitter": True}
_STABLE = 10.0
CAP_ON_A_PORT = 2.0
"""The longest wait of an app that shares a port and says nothing of waits: it is missed by a share of all requests."""
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
        cap = backoff["cap"]
        if app.get("bind") and backoff == _DEFAULT and app.get("stable_after") == _STABLE:
            cap = CAP_ON_A_PORT
        text += f", waiting {format_duration(backoff['base'])} to {format_duration(cap)} in a crash loop"
    if app.get("restart_delay"):
        text += f" and {format_duration(app['restart_delay'])} before each"
    if most := app.get("max_restarts"):
        text += f", given up after {most['count']} within {format_duration(most['window'])}"
    return text


def stop_plan(app: dict[str, Any]) -> str:
    """How it is stopped; a worker of a cluster drains at first."""
    whom = "its first process" if app.get("stop_scope") == "leader" else "all its processes"
    grace = app.get("graceful_timeout", 10.0)
    limit = format_duration(grace)
    if app.get("bind"):
        drain = app.get("drain_timeout", 30.0)
        signal, limit = app.get("stop_signal", "SIGTERM"), format_duration(drain + grace)
        return f"{signal}: answers what it has for {format_duration(drain)} at most; SIGKILL after {limit}"
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
