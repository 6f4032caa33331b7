"""Which worker is to be replaced although it works: too many requests, too old, too large. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a worker. None: no limit, or not known."""

    requests: int = 0
    limit: int | None = None
    uptime: float | None = None
    lifetime: float | None = None
    memory: int | None = None
    max_memory: int | None = None
    wants_replacement: bool = False


def why_replace(facts: Facts) -> str:
    """The reason, or ""."""
    if facts.limit is not None and facts.requests >= facts.limit:
        return f"it has served {facts.requests} requests"
    if facts.lifetime is not None and facts.uptime is not None and facts.uptime >= facts.lifetime:
        return f"it has run for {facts.uptime:.0f} s"
    if facts.max_memory is not None and facts.memory is not None and facts.memory > facts.max_memory:
        return f"it uses {facts.memory >> 20} MiB of memory, max_memory is {facts.max_memory >> 20} MiB"
    if facts.wants_replacement:
        return "a request took too long, and its thread cannot be ended"
    return ""
