"""How a manager begins: ask the keeper what runs, and go on."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery._os import kernel
from rookery.apps.manager import AppManager
from rookery.apps.passing import PREFIX
from rookery.apps.restore import Survivor, restore
from rookery.apps.state import SavedState
from rookery.control import places
from rookery.daemon.manager.collector_client import CollectorClient
from rookery.daemon.manager.listeners import connect, listener
from rookery.daemon.manager.outfitter import KeptOutfitter
from rookery.daemon.manager.store import Store, load
from rookery.daemon.manager.survivors import (
    KeptSurvivor,
    carriers,
    end_children,
    end_strays,
    highest_generations,
    newest,
    of_copy_name,
    orphans,
    sort_out,
)
from rookery.process.spec import SpawnSpec

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rookery._base.clock import Clock
    from rookery.daemon.manager.keeper_client import KeeperClient

LOCK = 3
"""The home's lock, as the keeper passes it to this process."""
_log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """Everything a manager holds."""

    keeper: KeeperClient
    collector: CollectorClient
    apps: AppManager
    store: Store
    outfitter: KeptOutfitter
    is_leaving: bool
    """Whether ``rook kill`` has begun; the manager before was killed in the middle of it."""
    listener: socket.socket


async def take_over(home: str, clock: Clock, make_keeper: Callable[[socket.socket], KeeperClient]) -> Taken:
    """Become the manager of home. Raises RookeryError, OSError; then another one may try.

    make_keeper: the client over a connection, with its callbacks.
    """
    path = places.state_file(home)
    saved = load(path)  # what cannot be read fails here, before anybody has left
    keeper = make_keeper(connect(places.keeper_socket(home)))
    await keeper.take_over(saved.epoch if saved else 0)
    saved = load(path)  # the manager before has ended by now; these are its last words
    state = saved or SavedState(scope=keeper.scope, boot_id="", epoch=0, next_id=0, saved_at=clock.wall())
    collector = await _collector(home, keeper, lambda told: apps.log_event(told))  # noqa: PLW0108 - not there yet
    keeper.helpers = lambda: {collector.pid} if collector.pid is not None else set()
    outfitter = KeptOutfitter(keeper, collector, os.path.realpath(os.path.join(home, "run")))
    boot_id = kernel.boot_id()

    def snapshot() -> SavedState:
        now = clock.wall()
        keeper.snapshot_taken()
        return SavedState(
            scope=keeper.scope,
            boot_id=boot_id,
            epoch=keeper.epoch,
            next_id=apps.next_id,
            saved_at=now,
            leaving=keeper.identity if apps.is_leaving else None,
            apps=[app.saved() for app in apps.apps.values()],
            instances=[one.saved(now) for one in apps.instances()],
        )

    store = Store(
        places.state_file(home),
        snapshot,
        saved=keeper.snapshot_saved,
        may_write=lambda: not keeper.is_superseded and is_ours(home),
    )
    apps = AppManager(
        keeper,
        outfitter,
        keep=keeper,
        scope=keeper.scope,
        clock=clock,
        log_folder=places.log_folder(home),
        changed=store.changed,
        save=store.save,
    )
    apps.events.epoch = keeper.epoch
    await _go_on(state, apps, keeper, outfitter, clock, is_same_boot=state.boot_id == boot_id)
    await collector.start()
    store.release()
    await store.save()
    is_leaving = state.leaving == keeper.identity  # ``rook kill`` was under way
    return Taken(
        keeper,
        collector,
        apps,
        store,
        outfitter,
        is_leaving,
        (await listener(keeper, "control", places.control_socket(home))).sock,
    )


def is_ours(home: str) -> bool:
    """Whether the home is the one whose lock we hold: not so where it was removed, or made anew by somebody else."""
    try:
        held = os.fstat(LOCK)
    except OSError:  # not started by a keeper (a test)
        return True
    try:
        return os.path.samestat(os.stat(places.lock_file(home)), held)
    except OSError:
        return False


async def _go_on(
    state: SavedState,
    apps: AppManager,
    keeper: KeeperClient,
    outfitter: KeptOutfitter,
    clock: Clock,
    *,
    is_same_boot: bool,
) -> None:
    """Find what runs from before; adopt what the state knows, end the rest."""
    survey = await keeper.survey()
    carrying = carriers(keeper.scope)
    found_children = list(survey.children)
    if is_same_boot:
        of_units = {child["key"]: child for child in found_children}
        found_children += [await keeper.adopt(*one) for one in orphans(state, of_units, carrying, clock.wall())]
    accepting, _ = newest([child for child in found_children if child["key"].startswith(PREFIX)])
    others_found = [child for child in found_children if child not in accepting.values()]
    children, others, strangers = sort_out(others_found, state)
    survivors: dict[str, Survivor] = {key: KeptSurvivor(keeper, child) for key, child in children.items()}
    beside: dict[str, list[Survivor]] = {
        key: [KeptSurvivor(keeper, child) for child in found] for key, found in others.items()
    }
    acceptors: dict[str, Survivor] = {key: KeptSurvivor(keeper, child) for key, child in accepting.items()}
    kept = {(child["key"], child["generation"]) for child in found_children}
    strays = {identity: processes for identity, processes in carrying.items() if identity not in kept}
    await asyncio.gather(end_children(keeper, clock, strangers), end_strays(keeper.scope, clock, strays))
    if strangers or strays:
        _log.warning("ended, because no state knows them: %s", [*strangers, *strays])
    used = highest_generations(survey.stored, [*carrying, *kept])
    await restore(
        apps,
        state,
        survivors,
        used,
        beside=beside,
        stored=survey.stored,
        acceptors=acceptors,
        is_same_boot=is_same_boot,
    )
    known = {copy.edition.passing.unit.key for app in apps.apps.values() for copy in app if copy.edition.passing}
    await end_children(keeper, clock, [child for key, child in accepting.items() if key not in known])
    copies = [copy for app in apps.apps.values() for copy in app]
    in_use = {(copy.unit.key, copy.unit.generation) for copy in copies if copy.unit.pid is not None}
    named = {name: of_copy_name(name) for name in survey.stored}
    unused = [name for name, identity in named.items() if identity is not None and identity not in in_use]
    outfitter.sweep({f"{key}.{generation}" for key, generation in in_use})
    held = {name for app in apps.apps.values() for name in (*app.door.held(), *app.door.streams())}
    unused += [name for name in survey.stored if name.startswith(("listen/", "control/")) and name not in held]
    keeper.drop(unused)


async def _collector(home: str, keeper: KeeperClient, on_event: Callable[[dict[str, Any]], None]) -> CollectorClient:
    path = places.collector_socket(home)
    found = await listener(keeper, "collector", path)
    found.sock.close()  # the keeper's copy is the collector's
    running = (await keeper.survey()).collector
    if found.is_new and running is not None:
        # It listens where nobody can reach it. The keeper starts the next one with the new socket.
        kernel.signal_process(running, kernel.start_time(running) or 0, signal.SIGTERM)
    await keeper.start_collector(_collector_spec(home))
    return CollectorClient(lambda: connect(path), on_event)


def _collector_spec(home: str) -> SpawnSpec:
    root = places.package_root()
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from rookery.logs.collector import main; main()"
    argv = (sys.executable, "-I", "-S", "-c", code, root, "rookery-collector", home)
    return SpawnSpec(argv, cwd="/", fds={3: "collector", 4: "life"})
