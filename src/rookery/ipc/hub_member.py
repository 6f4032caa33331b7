"""Who takes part in a hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rookery.ipc.channel import Channel


@dataclass(frozen=True)
class Health:
    """Each member is pinged every period; one that misses failure_threshold answers in a row is unhealthy.

    period, timeout: seconds. An unhealthy member is given tasks only where nobody else is left, or by name; an answer
    makes it healthy again. A blocking worker answers between its tasks only: its timeout must be longer than those.
    """

    period: float = 10.0
    timeout: float = 5.0
    failure_threshold: int = 3


HEALTH = Health()


@dataclass(eq=False)
class Member:
    """running: tasks underway; done: tasks answered; last: when it was last given one, as a growing number.

    missed: pings in a row; latency: seconds that the last answered ping took, None before; answered_at: monotonic.
    """

    name: str
    channel: Channel
    running: int = 0
    done: int = 0
    last: int = 0
    healthy: bool = True
    missed: int = 0
    latency: float | None = None
    answered_at: float | None = None

    def facts(self) -> dict[str, Any]:
        """What other members may know."""
        return {"name": self.name, "healthy": self.healthy, "running": self.running, "done": self.done}
