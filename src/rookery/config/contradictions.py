"""Settings that exclude each other; the same for files, options and the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rookery._base.binds import parse_bind
from rookery.config.command import is_attribute
from rookery.config.report import BadValue
from rookery.config.server_options import BY_KIND, check_options
from rookery.config.spec import AppSpec, LogSpec
from rookery.config.values import timestamps
from rookery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery._base.binds import Bind

_NOT_DIRECT = ("timestamps", "prefix", "json", "combined", "rotate", "compress", "on_full")
_LEAST_TO_COMPRESS = 2
_DEFAULTS = LogSpec()

_WEB = frozenset({"app", "asgi", "wsgi"})
PYTHON_KINDS = _WEB | {"socket", "connection"}
"""What is named as ``app``."""
KINDS_OF_KEY: Mapping[str, frozenset[str]] = {
    "linger": _WEB | {"node"},
    "max_requests": _WEB | {"connection", "node"},
    "max_requests_jitter": _WEB | {"connection", "node"},
    "options": frozenset(BY_KIND),
    "request_timeout": _WEB | {"connection"},
}
"""Keys that not every kind of clustered app understands."""
CLUSTER_KEYS = frozenset(
    {
        *("backlog", "balance", "bind", "drain_timeout", "kind", "max_lifetime", "max_surge", "start_timeout"),
        *("worker_timeout", *KINDS_OF_KEY),
    }
)
"""Keys that mean something only where the instances share sockets."""
_ABOVE_ZERO = ("backlog", "max_lifetime", "max_requests", "max_surge", "request_timeout", "start_timeout")
_PASSING = frozenset({"round_robin", "least_connections", "sticky"})
_BLANK = AppSpec(name="", command=(), cwd="")
_MOST_PORT = 65535


def check_logs(logs: LogSpec) -> None:
    """Raises BadValue (its path begins with "logs") for settings that cannot go together, and for a bad pattern."""
    try:
        timestamps(logs.timestamps)
    except BadValue as bad:
        raise BadValue(bad.problem, hint=bad.hint, path=("logs", "timestamps")) from None
    if logs.prefix and logs.json:
        raise _bad("prefix", "a prefix makes no JSON", "leave prefix out: app and instance are fields of each object")
    if logs.via == "direct":
        for key in _NOT_DIRECT:
            if getattr(logs, key) != getattr(_DEFAULTS, key):
                raise _bad(key, 'does not go with via = "direct"', "the app writes the file itself: leave one out")
    if logs.compress and logs.keep < _LEAST_TO_COMPRESS:
        hint = "the first rotated file stays as it is: set keep to 2 or more"
        raise _bad("compress", f"there is nothing to compress with keep = {logs.keep}", hint)


def _bad(key: str, problem: str, hint: str) -> BadValue:
    return BadValue(problem, hint=hint, path=("logs", key))


def check_cluster(spec: AppSpec) -> None:
    """Raises BadValue (its path is the key) for settings of a clustered app that cannot go together or be."""
    if not spec.bind:
        for key in sorted((CLUSTER_KEYS | {"app"}) - {"bind"}):
            if getattr(spec, key) != getattr(_BLANK, key):
                raise BadValue("means nothing without bind", hint="say where to listen", path=(key,))
        return
    _check_numbers(spec)
    if (spec.kind in PYTHON_KINDS) != bool(spec.app):
        problem = f"kind {spec.kind!r} goes with an app" if not spec.app else f"an app is no {spec.kind!r}"
        raise BadValue(problem, path=("kind",))
    if spec.app and not is_attribute(spec.app):
        raise BadValue("must be an app such as 'shop.web:app' (package.module:attribute)", path=("app",))
    for key, kinds in KINDS_OF_KEY.items():
        if spec.kind not in kinds and getattr(spec, key) != getattr(_BLANK, key):
            raise BadValue(f"means nothing for kind {spec.kind!r}", hint=f"for {', '.join(sorted(kinds))}", path=(key,))
    check_options(spec.kind, spec.options)
    if spec.kind != "command" and spec.stop_signal != "SIGTERM":
        raise BadValue(
            "a worker drains at SIGTERM, and is stopped by nothing else",
            hint='leave it out, or write "SIGTERM" where the defaults say otherwise',
            path=("stop_signal",),
        )
    _check_balance(spec, _places(spec))


def _check_numbers(spec: AppSpec) -> None:
    for key in (*_ABOVE_ZERO, "worker_timeout"):
        value = getattr(spec, key)
        if value is not None and not value > 0:
            raise BadValue(f"must be more than zero, not {value:g}", path=(key,))
    for key in ("drain_timeout", "linger"):
        if not getattr(spec, key) >= 0:
            raise BadValue(f"must be zero or more, not {getattr(spec, key):g}", path=(key,))
    if not 0 <= spec.max_requests_jitter < 1:
        raise BadValue(f"must be from 0 to below 1, not {spec.max_requests_jitter:g}", path=("max_requests_jitter",))


def _places(spec: AppSpec) -> list[Bind]:
    try:
        places = [parse_bind(text) for text in spec.bind]
    except UsageError as error:
        raise BadValue(f"{error.what}{': ' if error.why else ''}{error.why}", hint=error.hint, path=("bind",)) from None
    for place in places:
        if place.path and not place.path.startswith("/"):
            raise BadValue(f"the path of {place} is not absolute", path=("bind",))
    return places


def _check_balance(spec: AppSpec, places: list[Bind]) -> None:
    if spec.balance in _PASSING and spec.kind not in PYTHON_KINDS:
        raise _not_balanced(
            f"{spec.balance!r} passes connections on, which only Python apps take (app = ...)",
            'use "shared" or "hash"',
        )
    if spec.balance in ("hash", "port") and any(place.path for place in places):
        raise _not_balanced(f"{spec.balance!r} wants TCP, not a Unix socket", 'use "shared"')
    if spec.balance != "port":
        return
    if len(places) != 1:
        raise _not_balanced("'port' counts up from one address", "keep one in bind")
    if places[0].port == 0:
        raise _not_balanced("'port' counts up from a port: 0 is none", "name the first one in bind")
    if places[0].port + spec.instances - 1 > _MOST_PORT:
        raise _not_balanced(f"{spec.instances} ports from {places[0].port} on are more than there are", "")


def _not_balanced(problem: str, hint: str) -> BadValue:
    return BadValue(problem, hint=hint, path=("balance",))
