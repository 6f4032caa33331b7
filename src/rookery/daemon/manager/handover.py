"""The keeper was killed: start another one and bring it everything.

old keeper ✗            apps go to init, their pipes and sockets live on in this manager
manager ──lock──► new keeper (outside of this process's tree)
        ──descriptors, pidfds──►      ... which then starts a manager of its own; this one leaves
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import TYPE_CHECKING

from rookery.control import places
from rookery.daemon.manager.keeper_client import KeeperClient
from rookery.daemon.manager.listeners import connect
from rookery.daemon.manager.takeover import LOCK
from rookery.errors import RookeryError
from rookery.process.spawn import spawn_process
from rookery.process.spec import SpawnSpec

if TYPE_CHECKING:
    from rookery.daemon.manager.takeover import Taken

_UP_WITHIN = 5.0
_PAUSE = 0.01
_TOGETHER = 100
_log = logging.getLogger(__name__)


async def hand_over(home: str, taken: Taken) -> None:
    """Start a keeper and give it everything. Where that fails, the next rook command adopts from the state."""
    try:
        await _start_keeper(home)
        keeper = await _connect(home)
    except (RookeryError, OSError) as error:
        _log.error("no new keeper: %s", error)
        return
    try:
        await keeper.take_over(taken.keeper.epoch)
        names, fds = ["control"], [taken.listener.fileno()]
        for pipes in taken.collector.pipes():
            names += [f"log/{pipes.unit}/{pipes.generation}/{stream}" for stream in ("out", "err")]
            fds += [pipes.out, pipes.err]
        plumbings, doors = list(taken.outfitter.given), [app.door for app in taken.apps.apps.values()]
        everything = [one.held() for one in plumbings]
        for door in doors:
            everything += [door.held(), door.streams()]
        for held in everything:
            names += held
            fds += held.values()
        for start in range(0, len(fds), _TOGETHER):
            await keeper.put(names[start : start + _TOGETHER], fds[start : start + _TOGETHER])
        for handle in taken.keeper.handles():
            child = handle.child
            if child["ended_at"] is None:
                await keeper.adopt(
                    child["key"],
                    child["generation"],
                    child["pid"],
                    child["start_time"],
                    child["started_at"],
                    pidfd=handle.pidfd,
                )
        await keeper.handed_over()
    except (RookeryError, OSError) as error:
        _log.error("not everything was handed over: %s", error)
    finally:
        keeper.close()


async def _start_keeper(home: str) -> None:
    root = places.package_root()
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from rookery.daemon.keeper.main import main; main()"
    argv: tuple[str, ...] = (sys.executable, "-I", "-S", "-c", code, root, "rookery-keeper")
    argv += (f"--take-lock={LOCK}", f"--from={os.getpid()}", home)
    spawned = spawn_process(SpawnSpec(argv, cwd="/"), {2: 2, LOCK: LOCK})
    if spawned.pidfd >= 0:
        os.close(spawned.pidfd)
    # It forks and its first half ends at once: a keeper must not be below a manager that it is to be above of.
    await asyncio.to_thread(os.waitpid, spawned.pid, 0)


async def _connect(home: str) -> KeeperClient:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _UP_WITHIN
    while True:
        try:
            return KeeperClient(connect(places.keeper_socket(home)), on_lost=_nothing, on_terminate=_nothing)
        except OSError:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(_PAUSE)


def _nothing() -> None:
    """A keeper that dies now is followed by the next rook command's."""
