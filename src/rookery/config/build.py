"""The last step: from checked settings to an AppSpec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rookery.config.contradictions import check_cluster, check_logs
from rookery.config.interpreter import with_unbuffered_output
from rookery.config.report import BadValue
from rookery.config.spec import AppSpec, BackoffSpec, LimitSpec, LogSpec, MaxRestarts, ReadinessSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOT_IN_SPEC = frozenset(
    {
        *("args", "command", "cwd", "env", "env_file", "env_profiles"),
        *("interpreter", "module", "name", "script", "shell"),
    }
)


def build_spec(
    settings: Mapping[str, Any],
    *,
    name: str,
    command: tuple[str, ...],
    cwd: str,
    env: Mapping[str, str],
    origin: str = "",
) -> AppSpec:
    """An AppSpec of settings that have been read by ``keys``; settings that are absent keep AppSpec's defaults.

    Raises BadValue where settings contradict each other.
    """
    plain = {key: value for key, value in settings.items() if key not in _NOT_IN_SPEC}
    if "backoff" in plain:
        plain["backoff"] = _backoff(plain["backoff"])
    if "max_restarts" in plain:
        plain["max_restarts"] = _max_restarts(plain["max_restarts"])
    if "limits" in plain:
        plain["limits"] = LimitSpec(**plain["limits"])
    if "logs" in plain:
        plain["logs"] = LogSpec(**plain["logs"])
        check_logs(plain["logs"])
    if "readiness" in plain:
        plain["readiness"] = ReadinessSpec(**plain["readiness"])
    spec = AppSpec(
        name=name,
        command=command,
        cwd=cwd,
        env=with_unbuffered_output(command, env),
        origin=origin,
        **plain,
    )
    check_cluster(spec)
    return spec


def _backoff(table: Mapping[str, Any]) -> BackoffSpec:
    backoff = BackoffSpec(**table)
    if backoff.cap < backoff.base:
        raise BadValue(
            f"cap ({backoff.cap:g} s) is below base ({backoff.base:g} s)",
            hint="cap is the longest delay, base the first",
            path=("backoff",),
        )
    return backoff


def _max_restarts(table: Mapping[str, Any]) -> MaxRestarts:
    if "count" not in table:
        raise BadValue("count is missing", hint='write { count = 10, window = "1m" }', path=("max_restarts",))
    if table.get("window") == 0:
        raise BadValue("window must be longer than zero", path=("max_restarts", "window"))
    return MaxRestarts(**table)
