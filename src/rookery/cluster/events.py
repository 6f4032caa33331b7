"""What is told of a cluster."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("rookery.cluster")

Kind = Literal[
    "worker_started",
    "worker_ready",
    "worker_exited",
    "worker_stuck",
    "worker_recycled",
    "reload_started",
    "reload_done",
    "reload_failed",
    "scaled",
]


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """at: wall time; slot, worker (its id), pid: whose it is, or None; wanted: of an exit, whether it was asked for."""

    kind: Kind
    at: float
    reason: str = ""
    slot: int | None = None
    worker: int | None = None
    pid: int | None = None
    wanted: bool = False


class Teller:
    """Calls who wants to hear of it; what that raises is only logged."""

    def __init__(self, on_event: Callable[[ClusterEvent], object] | None) -> None:
        self._on_event = on_event

    def tell(self, event: ClusterEvent) -> None:
        """Tell it."""
        level = logging.INFO
        if event.kind in ("worker_stuck", "reload_failed") or (event.kind == "worker_exited" and not event.wanted):
            level = logging.WARNING
        where = "" if event.slot is None else f" worker {event.slot} (pid {event.pid})"
        _log.log(level, "%s%s%s", event.kind.replace("_", " "), where, f": {event.reason}" if event.reason else "")
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception:
                _log.exception("on_event failed on %s", event)
