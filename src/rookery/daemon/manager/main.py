"""How a manager begins and ends. Started by the keeper: ``python -I -c '...; main([HOME])'``."""

from __future__ import annotations

import asyncio
import gc
import logging
import logging.handlers
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from rookery._base.clock import SystemClock
from rookery.control import places
from rookery.daemon.manager.handover import hand_over
from rookery.daemon.manager.host import Host
from rookery.daemon.manager.keeper_client import KeeperClient
from rookery.daemon.manager.server import make_server, serve
from rookery.daemon.manager.takeover import Taken, is_ours, take_over
from rookery.daemon.manager.upgrade import Upgrade
from rookery.errors import ConfigError, LinkError, RookeryError

if TYPE_CHECKING:
    from collections.abc import Sequence

CANNOT_MANAGE = 78
"""Exit code where the next manager would find the same; see the keeper's."""
_LOG_SIZE = 2 * 1024 * 1024
_LOG_FILES = 3
_GOODBYE = 0.05
_LOOK_EVERY = 2.0
_log = logging.getLogger("rookery.manager")


def main(arguments: Sequence[str]) -> None:
    """Be the manager of the home in the last argument until told to leave, or until the keeper is gone.

    --upgrade: this is a newer version beside the one in charge; the keeper is to follow.
    """
    home = arguments[-1]
    _set_up(home)
    try:
        asyncio.run(_run(home, is_upgrade="--upgrade" in arguments))
    except (RookeryError, OSError) as error:
        _log.error("the manager ends: %s", error)
        sys.exit(CANNOT_MANAGE if isinstance(error, ConfigError) else 1)


def _set_up(home: str) -> None:
    os.umask(0o077)
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft_limit != hard_limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    handler = logging.handlers.RotatingFileHandler(places.manager_log(home), maxBytes=_LOG_SIZE, backupCount=_LOG_FILES)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    os.makedirs(places.log_folder(home), mode=0o700, exist_ok=True)


async def _run(home: str, *, is_upgrade: bool) -> None:
    clock = SystemClock()
    loop = asyncio.get_running_loop()
    leaving, lost = asyncio.Event(), asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    def keep(task: asyncio.Task[None]) -> None:
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    # SIGTERM ends the manager, not the apps: the keeper starts the next one.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leaving.set)
    terminating = asyncio.Event()  # may be asked for before there is a host
    upgrade = Upgrade()

    def keeper_lost() -> None:
        lost.set()
        leaving.set()

    taken = await take_over(
        home,
        clock,
        lambda sock: KeeperClient(
            sock,
            on_lost=keeper_lost,
            on_terminate=terminating.set,
            on_replaced=leaving.set,
            on_failed=upgrade.failed,
        ),
    )
    if taken.is_leaving:
        terminating.set()
    host = Host(home, taken, clock, upgrade, leave=lambda: keep(asyncio.ensure_future(_leave(taken))))
    keep(asyncio.ensure_future(_stay_reachable(home, clock, leaving)))
    keep(asyncio.ensure_future(_terminate(terminating, host)))
    server = make_server(host)
    keep(asyncio.ensure_future(host.sample_for_ever()))
    serving = asyncio.ensure_future(serve(server, taken.listener.dup()))
    serving.add_done_callback(lambda _: leaving.set())  # a manager that nobody can talk to is none
    _log.info("managing %s with epoch %s", home, taken.keeper.epoch)
    if is_upgrade:
        with suppress(LinkError):  # a keeper of before this verb stays as it is
            await taken.keeper.reexec(sys.executable, places.package_root())
    gc.freeze()  # what is there now stays; collections look at what comes later
    await leaving.wait()
    upgrade.replaced()
    server.leave(at_once=lost.is_set())  # without a keeper nothing can be finished
    if lost.is_set():
        _log.warning("the keeper was killed; another one is started")
        await hand_over(home, taken)
    await asyncio.wait([serving])
    if (error := serving.exception()) is not None:
        _log.error("the server ended by itself", exc_info=error)
    for task in tasks:
        task.cancel()
    # First the state, as it is; what is cut off after this is as if we had been killed, and the next one finds it so.
    await taken.store.close()
    await taken.apps.close()
    await taken.collector.close()
    for plumbing in list(taken.outfitter.given):
        plumbing.let_go()
    taken.keeper.close()
    taken.listener.close()


async def _leave(taken: Taken) -> None:
    """Let the answer to ``rook kill`` get out, then have the keeper end everything."""
    await asyncio.sleep(_GOODBYE)
    try:
        await taken.keeper.stop()
    except LinkError as error:
        _log.error("the keeper stays: %s", error)
        taken.apps.stay()


async def _stay_reachable(home: str, clock: SystemClock, leaving: asyncio.Event) -> None:
    """Make way for a manager with a new socket when ours has been cleaned away together with its folder."""
    while is_ours(home) and os.path.lexists(places.control_socket(home)):
        await clock.sleep(_LOOK_EVERY)
    _log.warning("the control socket is gone, or the home is not ours any more")
    leaving.set()


async def _terminate(asked: asyncio.Event, host: Host) -> None:
    """When the keeper is asked to end: stop the apps by their rules."""
    while await asked.wait():
        asked.clear()
        try:
            await host.shut_down()
        except RookeryError as error:
            _log.error("cannot end: %s", error)
