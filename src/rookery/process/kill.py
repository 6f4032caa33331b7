"""Killing a tree at once, and looking who is in it: what needs no event loop.

The stop plan stands on this, and so does the guardian, which has no loop.
"""

from __future__ import annotations

import time
from signal import SIGKILL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.process.protocols import Tree

    Member = tuple[int, int]

ROUNDS = 20
_LOOKS = 25
_PAUSE = 0.002


def kill_now(tree: Tree) -> None:
    """SIGKILL to everything of the tree, without waiting for the ends; for whoever has no time left."""
    killed: set[Member] = set()
    for _ in range(ROUNDS):
        members = members_of(tree)
        if members is None:
            continue
        if killed.issuperset(members):
            return
        for member in members:
            try_signal(tree, member, SIGKILL)
        killed.update(members)


def bury(tree: Tree) -> None:
    """After kill_now(): wait for the ends, for a look takes leave of who has ended. Blocks, 50 ms at the utmost."""
    for _ in range(_LOOKS):
        if not members_of(tree):
            return
        time.sleep(_PAUSE)


def members_of(tree: Tree) -> list[Member] | None:
    """Who is there; None where there are no descriptors left to look with."""
    try:
        return tree.members()
    except OSError:
        return None


def try_signal(tree: Tree, member: Member, number: int) -> bool:
    """Signal one; False where it is gone or may not be signalled."""
    try:
        return tree.signal(member, number)
    except OSError:  # a setuid program of theirs, or no descriptor left: whoever is left is seen by the next look
        return False
