"""Options of the servers that run Python apps: which there are, and for which kind of app."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rookery._base.nearest import nearest
from rookery.config.lookup import absolute, is_missing
from rookery.config.report import BadValue
from rookery.config.values import expected, without_nul

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Option = str | int | float | bool

TLS = frozenset({
    "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_ciphers", "ssl_keyfile", "ssl_keyfile_password",
    "ssl_version",
})  # fmt: skip
UVICORN = TLS | {
    "access_log", "date_header", "forwarded_allow_ips", "h11_max_incomplete_event_size", "http", "lifespan",
    "limit_concurrency", "log_config", "log_level", "loop", "proxy_headers", "root_path", "server_header",
    "timeout_keep_alive", "use_colors", "ws", "ws_max_queue", "ws_max_size", "ws_per_message_deflate",
    "ws_ping_interval", "ws_ping_timeout",
}  # fmt: skip
_WEB = UVICORN | {"threads"}
BY_KIND: Mapping[str, frozenset[str]] = {
    "app": _WEB,
    "asgi": UVICORN,
    "wsgi": _WEB,
    "connection": TLS | {"max_connections", "threads"},
}
"""What kinds of apps have any. threads: of a WSGI app, or of functions that are called with a connection."""
_FILES = frozenset({"log_config", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_OURS = {
    "backlog": "it is a key of its own: backlog",
    "factory": "the attribute is to be the app itself",
    "fd": "it is bound by rook: bind",
    "host": "it is bound by rook: bind",
    "limit_max_requests": "the key is max_requests",
    "limit_max_requests_jitter": "the key is max_requests_jitter",
    "port": "it is bound by rook: bind",
    "reload": "rook reload replaces workers",
    "timeout_graceful_shutdown": "the key is drain_timeout",
    "timeout_worker_healthcheck": "the key is worker_timeout",
    "uds": 'it is bound by rook: bind = "unix:/path"',
    "workers": "their number is instances",
}


def option(value: object) -> Option:
    """A text, a number or a boolean."""
    if isinstance(value, str):
        return without_nul(value)
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise expected("a string, a number or a boolean", value)


def option_name(name: str) -> str:
    """The name of an option of any server."""
    known = set().union(*BY_KIND.values())
    if name in _OURS:
        raise BadValue(f"{name} is no option here", hint=_OURS[name])
    if name not in known:
        near = nearest(name, known)
        raise BadValue(f"there is no option {name!r}", hint=f"did you mean {near[0]}?" if near else "see uvicorn's")
    return name


def check_options(kind: str, names: Iterable[str]) -> None:
    """Raises BadValue (its path begins with "options") for an option that apps of this kind do not have."""
    known = BY_KIND.get(kind, frozenset())
    for name in names:
        if name not in known:
            hint = (
                f"these have {', '.join(sorted(known))}" if known else "only Python apps that rook serves have options"
            )
            raise BadValue(f"{name!r} is no option for kind {kind!r}", hint=hint, path=("options", name))


def with_absolute_files(options: Mapping[str, Option], folder: str, environ: Mapping[str, str]) -> dict[str, Option]:
    """The options with paths made absolute, seen from the folder. Raises BadValue for a file that is not there."""
    found = dict(options)
    for name in sorted(_FILES & found.keys()):
        path = absolute(str(found[name]), folder, environ)
        if is_missing(path):
            raise BadValue(f"there is no file {str(found[name])!r}", hint=f"looked for {path}", path=("options", name))
        found[name] = path
    return found
