"""What still runs from before: as the keeper tells it, as the state tells it, and as the cookies tell it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery._base.ids import Cookie, parse_cookie
from rookery._os import kernel
from rookery.daemon.manager.plumbing import InstancePlumbing
from rookery.lifecycle.state import State
from rookery.lifecycle.stop import StopPlan
from rookery.process.adopted import AdoptedHandle
from rookery.process.stop import stop, sweep
from rookery.process.tree import INDEX, ProcessTree

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    from rookery._base.clock import Clock
    from rookery._os.linux import ProcessFacts
    from rookery.apps.state import SavedState
    from rookery.daemon.manager.keeper_client import KeeperClient, KeeperHandle
    from rookery.supervise.plumbing import Plumbing

_log = logging.getLogger(__name__)


class KeptSurvivor:
    """A child of the keeper that an earlier manager started. See Survivor."""

    def __init__(self, keeper: KeeperClient, child: dict[str, Any]) -> None:
        self._keeper = keeper
        self._child = child
        self.generation: int = child["generation"]
        self.started_at: float = child["started_at"]
        self.has_ended: bool = child["ended_at"] is not None

    def handle(self) -> KeeperHandle:
        """See Survivor."""
        return self._keeper.handle(self._child)

    async def recover(self, plumbing: Plumbing) -> None:
        """See Survivor."""
        assert isinstance(plumbing, InstancePlumbing)  # by our own outfitter
        await plumbing.recover(self.generation, self._child["pid"])


class Orphan(NamedTuple):
    """A copy that no keeper knows: its keeper was killed. started_at: wall time."""

    unit: str
    generation: int
    pid: int
    start_time: int
    started_at: float


def carriers(scope: str) -> dict[tuple[str, int], list[ProcessFacts]]:
    """Every process that carries a cookie of ours, by unit and generation."""
    found: dict[tuple[str, int], list[ProcessFacts]] = {}
    for process in kernel.processes():
        cookie = parse_cookie(INDEX.cookie(process) or "")
        if cookie is not None and cookie.scope == scope:
            found.setdefault((cookie.unit, cookie.generation), []).append(process)
    return found


def orphans(
    state: SavedState,
    children: Mapping[str, object],
    carrying: Mapping[tuple[str, int], list[ProcessFacts]],
    now: float,
) -> list[Orphan]:
    """What runs as a copy of a known unit and is no child of the keeper's. now: wall time.

    Either the state names it (a pid used again is none), or it carries a cookie that the state does not know to have
    been used, and leads a session, as every copy does: it was started in the last moment of a keeper, and nobody came
    to write it down.
    """
    found: list[Orphan] = []
    for saved in state.instances:
        unit = str(saved.id)
        if unit in children:
            continue
        found += [
            Orphan(unit, one.generation, one.pid, one.start_time, one.started_at or now)
            for one in saved.beside
            if one.pid and one.start_time and kernel.is_alive(one.pid, one.start_time)
        ]
        if saved.pid and saved.start_time and kernel.is_alive(saved.pid, saved.start_time):
            found.append(Orphan(unit, saved.generation, saved.pid, saved.start_time, saved.started_at or now))
            continue
        unwritten = saved.generation + (saved.state != str(State.STARTING))
        leaders = [
            Orphan(unit, generation, one.pid, one.start_time, now - kernel.age(one.start_time))
            for (key, generation), processes in carrying.items()
            for one in processes
            if key == unit and one.session == one.pid and generation >= unwritten
        ]
        if leaders:
            found.append(max(leaders, key=lambda one: (one.generation, -one.start_time)))
    return found


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


def sort_out(
    children: list[dict[str, Any]], state: SavedState
) -> tuple[dict[str, dict[str, Any]], dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """The child that has each unit's place, those beside it, and all that nobody knows.

    Of a clustered app several may run; the one that the state knows has the place while it does.
    """
    clustered = {app.name for app in state.apps if app.spec.bind}
    known = {str(saved.id): saved for saved in state.instances}
    best, others = newest(children)
    beside: dict[str, list[dict[str, Any]]] = {}
    strangers = []
    for child in others:
        saved = known.get(child["key"])
        if saved is None or saved.app not in clustered or child["ended_at"] is not None:
            strangers.append(child)
            continue
        first = best[child["key"]]
        if child["generation"] == saved.generation:
            best[child["key"]], child = child, first  # noqa: PLW2901 - they change places
        beside.setdefault(child["key"], []).append(child)
    strangers += [child for key, child in best.items() if key not in known]
    return {key: child for key, child in best.items() if key in known}, beside, strangers


def highest_generations(names: Iterable[str], carrying: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The highest generation of each unit that has left a trace: pipes in the store, or a process.

    A number is never used twice. The collector and the keeper take the second use for the first one again.
    """
    found: dict[str, int] = {}
    pairs = [*carrying, *(pair for name in names if (pair := of_copy_name(name)) is not None)]
    for unit, generation in pairs:
        found[unit] = max(generation, found.get(unit, 0))
    return found


_OF_A_COPY = {"log": 4, "page": 3, "channel": 3, "channel-end": 3, "notify": 3, "stdin": 3, "pass": 5}


def of_copy_name(name: str) -> tuple[str, int] | None:
    """Unit and generation of ``log/<unit>/<generation>/<stream>`` or what else a copy has; None for other names."""
    parts = name.split("/")
    if len(parts) > 2 and _OF_A_COPY.get(parts[0]) == len(parts) and parts[2].isdecimal():
        return parts[1], int(parts[2])
    return None


async def end_children(keeper: KeeperClient, clock: Clock, children: Iterable[dict[str, Any]]) -> None:
    """End children of the keeper that the state does not know: nobody would ever look after them.

    All at once; what cannot be ended is logged.
    """
    await _all(_end_child(keeper, clock, child) for child in children)


async def _end_child(keeper: KeeperClient, clock: Clock, child: dict[str, Any]) -> None:
    handle = keeper.handle(child)
    if child["ended_at"] is None:
        cookie = str(Cookie(keeper.scope, child["key"], child["generation"]))
        await stop(handle, keeper.tree(handle, cookie), StopPlan(), clock)
    handle.close()


async def end_strays(scope: str, clock: Clock, strays: Mapping[tuple[str, int], list[ProcessFacts]]) -> None:
    """End what copies that are gone have left behind: it would hold its port against the next copy.

    All at once; what cannot be ended is logged.
    """
    await _all(
        _end_stray(str(Cookie(scope, unit, generation)), clock, processes)
        for (unit, generation), processes in strays.items()
    )


async def _end_stray(cookie: str, clock: Clock, processes: list[ProcessFacts]) -> None:
    leader = next((one for one in processes if one.session == one.pid), None)
    if leader is None:
        await sweep(ProcessTree(processes[0].pid, processes[0].start_time, cookie), clock)
        return
    handle = AdoptedHandle(leader.pid, leader.start_time, clock)
    try:
        await stop(handle, ProcessTree(leader.pid, leader.start_time, cookie), StopPlan(), clock)
    finally:
        handle.close()


async def _all(endings: Iterable[Coroutine[Any, Any, None]]) -> None:
    """One that fails neither holds up the others nor the manager."""
    for failure in await asyncio.gather(*endings, return_exceptions=True):
        if failure is not None:
            _log.error("something from before could not be ended: %s", failure)
