"""How a manager begins: ask the keeper what runs, and go on."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from rookery._base.ids import Cookie
from rookery._os import kernel
from rookery.apps.manager import AppManager
from rookery.apps.restore import Survivor, restore
from rookery.apps.state import SavedState
from rookery.control import places
from rookery.daemon.manager.collector_client import CollectorClient
from rookery.daemon.manager.keeper_client import Calls, KeeperClient
from rookery.daemon.manager.listeners import connect, listener
from rookery.daemon.manager.outfitter import KeptOutfitter
from rookery.daemon.manager.store import Store, load
from rookery.daemon.manager.survivors import KeptSurvivor, adopt_orphans, end_strays, newest
from rookery.lifecycle.stop import StopPlan
from rookery.process.spec import SpawnSpec
from rookery.process.stop import stop

if TYPE_CHECKING:
    import socket
    from typing import Any

    from rookery._base.clock import Clock

_log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """Everything a manager holds."""

    keeper: KeeperClient
    collector: CollectorClient
    apps: AppManager
    store: Store
    listener: socket.socket


async def take_over(home: str, clock: Clock, calls: Calls) -> Taken:
    """Become the manager of home. Raises RookeryError, OSError; then another one may try."""
    path = places.state_file(home)
    saved = load(path)  # what cannot be read fails here, before anybody has left
    keeper = KeeperClient(connect(places.keeper_socket(home)), calls)
    await keeper.take_over(saved.epoch if saved else 0)
    saved = load(path)  # the manager before has ended by now; these are its last words
    state = saved or SavedState(scope=keeper.scope, boot_id="", epoch=0, next_id=0, saved_at=clock.wall())
    collector_path = places.collector_socket(home)
    (await listener(keeper, "collector", collector_path)).close()  # the keeper's copy is the collector's
    await keeper.start_collector(_collector_spec(home))
    collector = CollectorClient(lambda: connect(collector_path))
    run_folder = os.path.realpath(os.path.join(home, "run"))
    outfitter = KeptOutfitter(keeper, collector, run_folder)
    boot_id = kernel.boot_id()

    def snapshot() -> SavedState:
        now = clock.wall()
        return SavedState(
            scope=keeper.scope,
            boot_id=boot_id,
            epoch=keeper.epoch,
            next_id=apps.next_id,
            saved_at=now,
            apps=[app.saved() for app in apps.apps.values()],
            instances=[one.saved(now) for one in apps.instances()],
        )

    store = Store(places.state_file(home), snapshot)
    apps = AppManager(
        keeper,
        outfitter,
        scope=keeper.scope,
        clock=clock,
        log_folder=places.log_folder(home),
        changed=store.changed,
        save=store.save,
    )
    is_same_boot = state.boot_id == boot_id
    if is_same_boot:
        await adopt_orphans(keeper, state)
    children, others = newest(await keeper.children())
    await end_strays(keeper.scope, children.values(), clock)
    survivors: dict[str, Survivor] = {
        key: KeptSurvivor(keeper, child, outfitter.given) for key, child in children.items()
    }
    await restore(apps, state, survivors, is_same_boot=is_same_boot)
    known = {one.unit.key for one in apps.instances()}
    await _end_strangers(keeper, clock, [*others, *(child for key, child in children.items() if key not in known)])
    await collector.start()
    store.changed()
    await store.save()
    return Taken(keeper, collector, apps, store, await listener(keeper, "control", places.control_socket(home)))


def _collector_spec(home: str) -> SpawnSpec:
    root = places.package_root()
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from rookery.logs.collector import main; main()"
    argv = (sys.executable, "-I", "-S", "-c", code, root, "rookery-collector", "--life=4", home)
    return SpawnSpec(argv, cwd="/", fds={3: "collector", 4: "life"})


async def _end_strangers(keeper: KeeperClient, clock: Clock, children: list[dict[str, Any]]) -> None:
    """End copies that the state does not know: nobody will ever look after them."""
    for child in children:
        handle = keeper.handle(child)
        if child["ended_at"] is None:
            _log.warning("pid %s of unit %s is in no state file; it is ended", child["pid"], child["key"])
            cookie = str(Cookie(keeper.scope, child["key"], child["generation"]))
            await stop(handle, keeper.tree(handle, cookie), StopPlan(), clock)
        handle.close()
        keeper.drop([f"log/{child['key']}/{child['generation']}/{stream}" for stream in ("out", "err")])
