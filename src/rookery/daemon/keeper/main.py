"""How a keeper begins: ``python -I -S -c '...; main()' rookery-keeper HOME``."""

from __future__ import annotations

import os
import sys

from rookery.daemon.keeper import home as places
from rookery.daemon.keeper.loop import LOCK_TAKEN, Keeper
from rookery.errors import RookeryError


def main() -> None:
    """Become the keeper of the home in argv[2], or exit with 75 where it has one."""
    home = os.path.abspath(sys.argv[-1])
    os.umask(0o077)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    try:
        lock = places.take_lock(home)
        if lock < 0:
            sys.exit(LOCK_TAKEN)
        keeper = Keeper(home, root, lock)
    except (RookeryError, OSError) as error:
        sys.exit(f"the keeper of {home} cannot begin: {error}")
    sys.exit(keeper.run())
