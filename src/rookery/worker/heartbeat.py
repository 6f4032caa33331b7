"""Seeing that a worker does not answer any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rookery.errors import ChannelTimeout, LinkError
from rookery.ipc.hub_member import Health

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.ipc.channel import Channel


def health_of(heartbeat: float | Health | None) -> Health | None:
    """A number is the period, and the time for an answer."""
    if heartbeat is None or isinstance(heartbeat, Health):
        return heartbeat
    return Health(period=heartbeat, timeout=heartbeat)


async def watch(channel: Channel, health: Health, missed: Callable[[int], None]) -> float | None:
    """Ping each period; tell of each answer that did not come. Returns after failure_threshold ones in a row.

    It gives the seconds without an answer, or None where the channel has ended.
    """
    loop = asyncio.get_running_loop()
    heard = loop.time()
    count = 0
    while True:
        await asyncio.sleep(health.period)
        try:
            await channel.ping(timeout=health.timeout)
        except ChannelTimeout:
            count += 1
            missed(count)
            if count >= health.failure_threshold:
                return loop.time() - heard
        except LinkError:
            return None
        else:
            count = 0
            heard = loop.time()
