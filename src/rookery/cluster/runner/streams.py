"""Answers that do not end by themselves: a worker that leaves ends them as if they were complete.

A client that asked for a stream of events comes again when it ends, to another worker.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Iterable

_EVENTS = b"text/event-stream"


async def end_streams(cycles: Iterable[Any], tasks: Collection[asyncio.Task[Any]]) -> None:
    """End what was asked for as a stream of events, and has begun. cycles, tasks: uvicorn's own, of open requests."""
    known: dict[int, asyncio.Task[Any]] = {}
    for task in tasks:
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None:
            known[id(frame.f_locals.get("self"))] = task
    for cycle in cycles:
        if cycle.response_started and _wants_events(cycle.scope):
            with suppress(Exception):  # its client has gone, or the length that was announced is not reached
                await cycle.send({"type": "http.response.body", "body": b"", "more_body": False})
            cycle.disconnected = True  # what the app still sends goes nowhere
            cycle.message_event.set()
            if id(cycle) in known:
                known[id(cycle)].cancel()


def _wants_events(scope: Any) -> bool:
    return any(name == b"accept" and _EVENTS in value.lower() for name, value in scope["headers"])
