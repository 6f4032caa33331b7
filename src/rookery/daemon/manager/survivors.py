"""What still runs from before, as the keeper tells it."""

from __future__ import annotations

import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery._base.ids import Cookie
from rookery._os import kernel
from rookery.process.tree import INDEX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rookery._base.clock import Clock
    from rookery.apps.state import SavedState
    from rookery.daemon.manager.keeper_client import KeeperClient, KeeperHandle
    from rookery.daemon.manager.plumbing import InstancePlumbing

_ROUNDS = 20
_PAUSE = 0.02
_log = logging.getLogger(__name__)


class KeptSurvivor:
    """A child of the keeper that an earlier manager started. See Survivor."""

    def __init__(self, keeper: KeeperClient, child: dict[str, Any], outfits: dict[str, InstancePlumbing]) -> None:
        self._keeper = keeper
        self._child = child
        self._outfits = outfits
        self.generation: int = child["generation"]
        self.started_at: float = child["started_at"]
        self.has_ended: bool = child["ended_at"] is not None

    def handle(self) -> KeeperHandle:
        """See Survivor."""
        return self._keeper.handle(self._child)

    async def recover(self) -> None:
        """See Survivor."""
        await self._outfits[self._child["key"]].recover(self.generation, self._child["pid"])


async def adopt_orphans(keeper: KeeperClient, state: SavedState) -> None:
    """Have the keeper watch what the state says is running and it does not know: its own keeper was killed.

    A pid that was used again is recognised by its start time and left alone.
    """
    known = {(child["key"], child["generation"]) for child in await keeper.children()}
    for saved in state.instances:
        if saved.pid is None or saved.start_time is None or (str(saved.id), saved.generation) in known:
            continue
        if kernel.is_alive(saved.pid, saved.start_time):
            await keeper.adopt(
                str(saved.id), saved.generation, saved.pid, saved.start_time, saved.started_at or state.saved_at
            )


async def end_strays(scope: str, children: Iterable[Mapping[str, Any]], clock: Clock) -> None:
    """End what carries a cookie of this home and belongs to no copy that is known.

    Such a copy was started by a keeper that was killed before it could say so; a second one is about to be started.
    """
    known = {str(Cookie(scope, child["key"], child["generation"])) for child in children}
    for _ in range(_ROUNDS):
        strays = [process for process in kernel.processes() if _is_stray(INDEX.cookie(process), scope, known)]
        if not strays:
            return
        for process in strays:
            _log.warning("pid %s belongs to no copy that is known; it is ended", process.pid)
            with suppress(PermissionError):
                kernel.signal_process(process.pid, process.start_time, signal.SIGKILL)
        await clock.sleep(_PAUSE)


def _is_stray(cookie: str | None, scope: str, known: set[str]) -> bool:
    return cookie is not None and cookie.startswith(f"{scope}:") and cookie not in known


def newest(children: list[dict[str, Any]]) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """The newest child of each unit, running before ended, and all others."""
    best: dict[str, dict[str, Any]] = {}
    others: list[dict[str, Any]] = []
    for child in sorted(children, key=lambda one: (one["ended_at"] is None, one["generation"])):
        earlier = best.get(child["key"])
        if earlier is not None:
            others.append(earlier)
        best[child["key"]] = child
    return best, others
