"""Signs of life, for those kinds that have no server of ours."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from rookery.cluster import stats

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD = 0.5


async def beat_in_loop(words: memoryview[int], look: Callable[[], object] | None = None) -> None:
    """As long as the event loop turns. look: called each time."""
    while True:
        words[stats.HEARTBEAT] = time.monotonic_ns()
        if look is not None:
            look()
        await asyncio.sleep(PERIOD)


def beat_in_thread(words: memoryview[int]) -> None:
    """As long as the interpreter runs: a program that blocks may be busy for any time."""

    def beat() -> None:
        while True:
            words[stats.HEARTBEAT] = time.monotonic_ns()
            time.sleep(PERIOD)

    threading.Thread(target=beat, name="rookery-beat", daemon=True).start()
