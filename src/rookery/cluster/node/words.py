"""What a Node worker says of itself, on Node's own channel; its app's messages are none of these.

{"type": "rookery.node", "what": "listening" | "ready" | "stats" | "draining" | "drained", "pid": ..., ...}
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from rookery.cluster import stats

if TYPE_CHECKING:
    from rookery.cluster.stats import Page

TYPE: Final = "rookery.node"
DRAIN: Final = {"cmd": "NODE_ROOKERY", "act": "drain"}
"""Send it to have a worker drain without a signal; its app does not see it."""


def heard(message: Any, page: Page | None) -> dict[str, str] | None:
    """Take one in: None for an app's message, else its words as NOTIFY_SOCKET has them.

    page: the worker's, which the parent writes for it: Node cannot map memory.
    """
    if not isinstance(message, dict) or message.get("type") != TYPE:
        return None
    what = message.get("what")
    if what == "ready":
        return {"READY": "1"}
    if what == "draining":
        if page is not None:
            # It leaves by its own wish, or is told to by a signal; the parent knows its own.
            by_itself = stats.WANTS_REPLACEMENT if message.get("why") == "disconnect" else 0
            page.words[stats.FLAGS] |= stats.IS_DRAINING | by_itself
        return {"STOPPING": "1"}
    if what == "stats":
        if page is not None:
            with suppress(KeyError, TypeError, ValueError, IndexError):  # the app may have taken our word
                _write(page, message)
        return {"WATCHDOG": "1"}
    return {}


def _write(page: Page, message: dict[str, Any]) -> None:
    words = page.words
    words[stats.HEARTBEAT] = time.monotonic_ns()
    words[stats.REQUESTS] = message["requests"]
    words[stats.ERRORS] = message["errors"]
    words[stats.IN_FLIGHT] = message["inFlight"]
    words[stats.CONNECTIONS] = message["connections"]
    words[stats.ACCEPTED] = message["accepted"]
    words[stats.LATENCY] = message["latency"]
    for place, count in message["histogram"]:
        words[stats.HISTOGRAM + min(place, stats.BUCKETS - 1)] += count
