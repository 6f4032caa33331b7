"""Where to listen, as people write it. Pure."""

from __future__ import annotations

from typing import NamedTuple

from rookery.errors import UsageError

_HINT = "write '127.0.0.1:8000', '[::1]:8000', ':8000' (every interface), 'localhost:0' (any port) or 'unix:/path'"


class Bind(NamedTuple):
    """host: "" for every interface; port: 0 for any; path: of a Unix socket, or "" for TCP."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_bind(text: str) -> Bind:
    """One place to listen. Raises UsageError."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if path.startswith("//"):
            path = "/" + path.lstrip("/")
        if not path or "\0" in path:
            raise UsageError(f"{text!r} is no place to listen", hint=_HINT)
        return Bind(path=path)
    host, colon, port = text.rpartition(":")
    if not colon and port.isdecimal():
        host, colon = "127.0.0.1", ":"
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UsageError(f"{text!r} is no place to listen", why="an IPv6 address stands in brackets", hint=_HINT)
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise UsageError(f"{text!r} is no place to listen", why="its port is a number up to 65535", hint=_HINT)
    return Bind("" if host == "*" else host, int(port))


def parse_binds(bind: str | tuple[str, ...] | list[str]) -> tuple[Bind, ...]:
    """All of them. Raises UsageError, also for none."""
    texts = [bind] if isinstance(bind, str) else list(bind)
    if not texts:
        raise UsageError("a cluster listens somewhere", hint=_HINT)
    return tuple(parse_bind(text) for text in texts)
