"""What still runs from before, as the keeper tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rookery._os import kernel
from rookery.process.adopted import AdoptedHandle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery._base.clock import Clock
    from rookery.apps.state import SavedInstance, SavedState
    from rookery.daemon.manager.keeper_client import KeeperClient, KeeperHandle
    from rookery.daemon.manager.plumbing import InstancePlumbing


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
        await self._outfits[self._child["key"]].recover(self.generation)


class OrphanSurvivor:
    """A process that the state names and no keeper knows: its keeper was killed. See Survivor."""

    has_ended = False

    def __init__(self, saved: SavedInstance, clock: Clock, outfits: dict[str, InstancePlumbing]) -> None:
        self._saved = saved
        self._clock = clock
        self._outfits = outfits
        self.generation = saved.generation
        self.started_at = saved.started_at or clock.wall()

    def handle(self) -> AdoptedHandle:
        """See Survivor."""
        return AdoptedHandle(self._saved.pid or 0, self._saved.start_time or 0, self._clock)

    async def recover(self) -> None:
        """See Survivor. Its pipes are found where it has them open itself."""
        await self._outfits[str(self._saved.id)].rescue(self.generation, self._saved.pid or 0)


def orphans(
    state: SavedState, children: Mapping[str, object], clock: Clock, outfits: dict[str, InstancePlumbing]
) -> dict[str, OrphanSurvivor]:
    """What the state says is running, still is, and is no child of the keeper's. A pid used again is none."""
    return {
        str(saved.id): OrphanSurvivor(saved, clock, outfits)
        for saved in state.instances
        if str(saved.id) not in children
        and saved.pid is not None
        and saved.start_time is not None
        and kernel.is_alive(saved.pid, saved.start_time)
    }


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
