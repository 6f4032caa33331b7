"""Messages between a cluster and its workers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from rookery.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.cluster.member import Member
    from rookery.cluster.status import WorkerStatus

_PATIENCE = 1.0
"""Seconds for a worker that does not read to make room."""


class Post:
    """callbacks: called with (worker, message); what they raise disturbs nobody."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[WorkerStatus, Any], object]] = []

    def came(self, worker: WorkerStatus, message: Any) -> None:
        """A worker has sent it."""
        for callback in self.callbacks:
            try:
                callback(worker, message)
            except Exception as error:
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "an on_message callback failed", "exception": error}
                )


async def deliver(member: Member, message: Any) -> bool:
    """Send to one; whether it could take it. Raises UsageError for what cannot be encoded."""
    channel = member.plumbing.channel
    if channel is None:
        return False
    with contextlib.suppress(LinkError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await channel.send(message)
        return True
    return False
