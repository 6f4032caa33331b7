"""How a keeper begins: ``python -I -S -c '...; main()' rookery-keeper HOME``."""

from __future__ import annotations

import os
import sys

from rookery.daemon.keeper import home as places
from rookery.daemon.keeper.loop import LOCK_TAKEN, Keeper


def main() -> None:
    """Become the keeper of the home in argv[2], or exit with 75 where it has one."""
    home = os.path.abspath(sys.argv[-1])
    os.umask(0o077)
    lock = places.take_lock(home)
    if lock < 0:
        sys.exit(LOCK_TAKEN)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    Keeper(home, root, lock).run()
