"""What a cluster is to be: every option with its meaning, checked once."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from rookery._base.binds import Bind, parse_binds
from rookery._base.units import parse_size
from rookery._os import machine
from rookery.cluster.target import App, Kind, kind_of
from rookery.errors import UsageError
from rookery.lifecycle.restart import Backoff, RestartPolicy
from rookery.lifecycle.stop import GRACE_APP, GRACE_DRAIN, StopPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = logging.getLogger("rookery.cluster")

Balance = Literal["shared", "hash", "round_robin", "least_connections", "sticky", "port"]
RUNNER_KINDS = frozenset({"auto", "asgi", "wsgi", "socket", "connection"})
"""Apps that run in our runner."""
PASSING = frozenset({"round_robin", "least_connections", "sticky"})
"""Ways of balancing in which connections are accepted for the workers and passed to them."""


POLICY = RestartPolicy(backoff=Backoff(cap=2.0), stable_after=2.0)
"""A worker that served and was killed is missed at once, by a share of all requests: so the brake is short, and is for
those that end soon after their start."""


@dataclass(frozen=True)
class Settings:
    """See Cluster; all times in seconds. Raises UsageError."""

    app: App
    bind: tuple[Bind, ...]
    workers: int
    balance: Balance | Callable[..., Any] = "shared"
    kind: Kind = "auto"
    factory: bool = False
    args: tuple[str, ...] = ()
    interpreter: str | None = None
    cwd: str | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    name: str = "cluster"
    ready: str = "auto"
    start_timeout: float = 30.0
    settle: float = 1.0
    max_surge: int = 1
    drain_timeout: float = GRACE_DRAIN
    linger: float = 2.0
    graceful_timeout: float = GRACE_APP
    max_requests: int | None = None
    max_requests_jitter: float = 0.1
    min_recycle_interval: float = 1.0
    max_lifetime: float | None = None
    max_memory: int | None = None
    worker_timeout: float | None = 30.0
    request_timeout: float | None = None
    policy: RestartPolicy = POLICY
    backlog: int = 2048
    unix_mode: int | None = None
    ssl: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self)

    @property
    def is_runner(self) -> bool:
        """Whether the app runs in our runner."""
        return self.kind in RUNNER_KINDS

    @property
    def passes(self) -> bool:
        """Whether connections are accepted for the workers."""
        return callable(self.balance) or self.balance in PASSING or ":" in self.balance

    @property
    def own_ports(self) -> bool:
        """Whether each worker binds a port of its own, so that two of one slot cannot run at once."""
        return self.balance == "port" and not self.is_runner

    @property
    def handshake(self) -> str:
        """How a worker says that it is ready: notify, port, http:/path, line:TEXT, channel, or "" for by running."""
        if self.ready != "auto":
            return self.ready
        if self.is_runner or self.kind == "node":
            return "notify"
        return "port" if self.own_ports else "notify-or-settled"

    @property
    def stop_plan(self) -> StopPlan:
        """SIGTERM is "drain"; children of the worker serve requests too, so only the leader is told."""
        return StopPlan(graceful_timeout=self.drain_timeout + self.graceful_timeout, scope="leader")


def make_settings(app: Any, options: Mapping[str, Any]) -> Settings:
    """From what Cluster was given. Raises UsageError."""
    given = dict(options)
    given["kind"], given["app"] = kind_of(app, given.get("kind", "auto"))
    given["bind"] = parse_binds(given["bind"])
    given["workers"] = count(given["workers"])
    given["args"] = tuple(os.fspath(part) if hasattr(part, "__fspath__") else str(part) for part in given["args"])
    for name in ("interpreter", "cwd"):
        given[name] = None if given[name] is None else os.fspath(given[name])
    for name in ("env", "ssl", "options"):
        given[name] = dict(given[name] or {})
    given["ssl"] = {_ssl_name(name): _plain(value) for name, value in given["ssl"].items()}
    given["ready"] = "" if given["ready"] is False else given["ready"]
    given["policy"] = given["policy"] or POLICY
    given["name"] = given["name"] or "cluster"
    try:
        given["max_memory"] = None if given["max_memory"] is None else parse_size(given["max_memory"])
    except ValueError as error:
        raise UsageError("max_memory is no size", why=str(error)) from None
    return Settings(**given)


def count(workers: int | str) -> int:
    """How many: "max", "half", a number, or -1 for all CPUs but one. More than CPUs warns. Raises UsageError."""
    cpus = max(1, int(machine.cpus()))
    if workers == "max":
        return cpus
    if workers == "half":
        return max(1, cpus // 2)
    if isinstance(workers, bool) or not isinstance(workers, int) or workers == 0:
        raise UsageError(f"workers is a number, 'max', 'half' or -1 (all CPUs but one), not {workers!r}")
    if workers < 0:
        return max(1, cpus + workers)
    if workers > cpus:
        _log.warning("%d workers share %d CPUs", workers, cpus)
    return workers


def _ssl_name(name: str) -> str:
    return name if name.startswith("ssl_") else f"ssl_{name}"


def _plain(value: Any) -> Any:
    return os.fspath(value) if hasattr(value, "__fspath__") else value


def _check(settings: Settings) -> None:
    if not settings.passes and settings.balance not in get_args(Balance):
        raise UsageError(
            f"balance is one of {', '.join(get_args(Balance))}, or a function (also 'package.module:function'), "
            f"not {settings.balance!r}"
        )
    for name in ("start_timeout", "worker_timeout", "request_timeout", "max_lifetime", "max_requests", "max_memory"):
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise UsageError(f"{name} is more than 0, not {value!r}")
    for name in ("drain_timeout", "linger", "graceful_timeout", "min_recycle_interval", "settle"):
        if not getattr(settings, name) >= 0:
            raise UsageError(f"{name} is 0 or more, not {getattr(settings, name)!r}")
    if not 0 <= settings.max_requests_jitter < 1:
        raise UsageError(f"max_requests_jitter is a share from 0 to below 1, not {settings.max_requests_jitter!r}")
    if settings.max_surge < 1:
        raise UsageError(f"max_surge is 1 or more, not {settings.max_surge!r}")
    if ":" in settings.name or "/" in settings.name:
        raise UsageError(f"{settings.name!r} cannot be a cluster's name", hint="no colon, no slash")
    _check_balance(settings)
    _check_ready(settings)
    if settings.is_runner:
        try:
            json.dumps({**settings.options, **settings.ssl})
        except TypeError as error:
            raise UsageError("options travel to the workers as JSON", why=str(error)) from None


def _check_balance(settings: Settings) -> None:
    if settings.passes and not settings.is_runner:
        raise UsageError(
            f"balance {settings.balance!r} passes connections, which only Python apps in our runner take",
            hint="use balance='shared' or 'hash'",
        )
    if settings.balance in ("hash", "port") and any(bind.path for bind in settings.bind):
        raise UsageError(f"balance {settings.balance!r} wants TCP, not a Unix socket", hint="use balance='shared'")
    if settings.balance == "port" and len(settings.bind) != 1:
        raise UsageError("balance 'port' counts up from one address", hint="bind one")
    if settings.own_ports and settings.bind[0].port == 0:
        raise UsageError("balance 'port' counts up from a port: 0 is none", hint="name the first one")


def _check_ready(settings: Settings) -> None:
    ready = settings.ready
    if ready not in ("auto", "notify", "port", "channel", "") and not ready.startswith(("http:/", "line:")):
        raise UsageError(
            f"ready is 'auto', 'notify', 'port', 'http:/path', 'line:TEXT', 'channel' or False, not {ready!r}"
        )
    if (ready == "port" or ready.startswith("http:")) and not settings.is_runner and not settings.own_ports:
        raise UsageError(
            f"ready={ready!r} cannot tell one worker from another on a shared socket",
            hint="use ready='notify', 'line:TEXT' or 'channel', or balance='port'",
        )
    if ready == "port" and settings.is_runner:
        raise UsageError("the runner says itself when an app is ready", hint="leave ready out")
    if ready.startswith("http:") and settings.kind in ("socket", "connection"):
        raise UsageError(f"ready={ready!r} asks an ASGI or WSGI app", hint="leave ready out")
