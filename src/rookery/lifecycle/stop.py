"""The stop plan: which signal goes to whom, and when. `process.stop` carries it out.

The grace periods of the whole project, in seconds:
library child 5, managed app 10, pool worker 5, cluster drain 30, own graceful_shutdown 30.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GRACE_CHILD = 5.0
GRACE_APP = 10.0
GRACE_POOL_WORKER = 5.0
GRACE_DRAIN = 30.0
GRACE_SHUTDOWN = 30.0
SIGTERM = 15
SIGKILL = 9
KILL_WAIT = 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """Send signal number ``signal`` to ``to``, then wait up to ``wait`` seconds for everything to be gone."""

    signal: int
    to: Literal["tree", "leader"]
    wait: float


@dataclass(frozen=True, slots=True)
class StopPlan:
    """Polite signal -> grace -> SIGKILL to what is left of the tree.

    signal: its number; graceful_timeout: seconds between it and SIGKILL; scope: who gets the polite signal. The sweep
    with SIGKILL goes to the whole tree in any case, and happens even if the leader went by itself.
    """

    signal: int = SIGTERM
    graceful_timeout: float = GRACE_CHILD
    scope: Literal["tree", "leader"] = "tree"

    def steps(self) -> tuple[Step, ...]:
        """The steps in order; a SIGKILL asked for as the polite signal leaves only the sweep."""
        sweep = Step(SIGKILL, "tree", KILL_WAIT)
        if self.signal == SIGKILL:
            return (sweep,)
        return (Step(self.signal, self.scope, self.graceful_timeout), sweep)
