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
    """End what was asked for as a stream of events and nothing else, and has begun.

    cycles, tasks: uvicorn's own, of open requests. Other answers are left to come to their end, and those whose client
    does not read to drain_timeout: nothing can be sent to it.
    """
    known: dict[int, asyncio.Task[Any]] = {}
    for task in tasks:
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None:
            known[id(frame.f_locals.get("self"))] = task
    for cycle in cycles:
        if _is_stream(cycle) and not cycle.flow.write_paused:
            with suppress(Exception):  # its client has gone, or the length that was announced is not reached
                await cycle.send({"type": "http.response.body", "body": b"", "more_body": False})
            cycle.disconnected = True  # what the app still sends goes nowhere
            cycle.message_event.set()
            if id(cycle) in known:
                known[id(cycle)].cancel()


def _is_stream(cycle: Any) -> bool:
    """Whether it has begun without a length, for a client that takes events alone, as a browser's EventSource does."""
    if not cycle.response_started or getattr(cycle, "chunked_encoding", True) is False:
        return False
    return [value.strip().lower() for name, value in cycle.scope["headers"] if name == b"accept"] == [_EVENTS]
