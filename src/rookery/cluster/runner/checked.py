"""Asking the app whether it is well, in the worker itself: through a shared socket another one might answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rookery.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def check(app: Callable[..., Awaitable[None]], path: str) -> None:
    """GET path of the app. Raises ClusterError unless it answers with 200 to 399, and what the app raises."""
    target, _, query = path.partition("?")
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"user-agent", b"rookery")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
        "state": {},
    }
    await app(scope, receive, send)
    if not statuses or not 200 <= statuses[0] < 400:
        raise ClusterError(f"GET {path} was answered with {statuses[0] if statuses else 'nothing'}")
