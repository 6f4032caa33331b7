"""How a keeper begins.

``python -I -S -c '...; main()' [ROOT] rookery-keeper [--take-lock=FD --from=PID | --resume=FD] HOME``

--take-lock: the keeper before was killed; FD is the home's lock, from its manager PID, which brings the rest. The
process puts itself outside of the manager's tree first. --resume: the image before has left its state in FD.
"""

from __future__ import annotations

import os
import resource
import sys
import time

from rookery.daemon.keeper import home as places
from rookery.daemon.keeper.children import Children
from rookery.daemon.keeper.core import HANDOVER_WITHIN, Keeper
from rookery.daemon.keeper.loop import Loop
from rookery.daemon.keeper.programs import own_command
from rookery.daemon.keeper.reexec import Resumed
from rookery.daemon.keeper.store import DescriptorStore
from rookery.errors import RookeryError
from rookery.process.spawn import fill_low_numbers, move_above

LOW_NUMBERS = 64
LOCK_TAKEN = 75


def main() -> None:
    """Become the keeper of the home in the last argument, or exit with 75 where it has one."""
    home = os.path.abspath(sys.argv[-1])
    options = dict(one[2:].split("=", 1) for one in sys.argv if one.startswith("--") and "=" in one)
    os.umask(0o077)
    try:
        loop = _resume(home, int(options["resume"])) if "resume" in options else _begin(home, options)
    except (RookeryError, OSError) as error:
        sys.exit(f"the keeper of {home} cannot begin: {error}")
    sys.exit(loop.run())


def _begin(home: str, options: dict[str, str]) -> Loop:
    lock = int(options["take-lock"]) if "take-lock" in options else places.take_lock(home)
    if lock < 0:
        sys.exit(LOCK_TAKEN)
    if "take-lock" in options:
        if os.fork():
            os._exit(0)
        os.setsid()
    lock = move_above(lock, LOW_NUMBERS)  # before the low numbers are filled: the hole would be used again
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    children = Children(filler=fill_low_numbers(LOW_NUMBERS), open_files=soft)
    found = places.open_home(home)
    life, life_writer = os.pipe()
    store = DescriptorStore(lock=lock, life=life)
    loop = Loop(lambda send: Keeper(found, own_command(), store, children, send=send), None)
    loop.keeper.life_writer = life_writer
    if "take-lock" in options:
        loop.keeper.handover_from = int(options["from"])
        loop.keeper.handover_by = time.monotonic() + HANDOVER_WITHIN
    else:
        loop.keeper.managers.current.want()
    return loop


def _resume(home: str, state: int) -> Loop:
    found = places.open_home(home)
    resumed = Resumed(state, filler=fill_low_numbers(LOW_NUMBERS))
    loop = Loop(lambda send: Keeper(found, own_command(), resumed.store, resumed.children, send=send), resumed.listener)
    resumed.apply(loop.keeper)
    return loop
