"""In a worker: what the task at work can reach. Empty in every other process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rookery.pool.processes.child import Desk
    from rookery.pool.scripts.serving import Serving

desk: Desk | None = None
"""Of a worker that runs functions."""
serving: Serving | None = None
"""Of a script that serves tasks."""
