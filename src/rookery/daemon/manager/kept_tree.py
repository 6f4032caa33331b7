"""The tree of a child of the keeper, found without looking at every process of the machine.

The keeper is the subreaper: what an app leaves behind is the keeper's child before anybody can hear of the app's end.
So who belongs to a living app descends from it, and who belongs to an app that has ended is, or descends from, a child
of the keeper that nobody started. Only where there is such a stranger is the whole table looked at.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rookery._os import kernel
from rookery.process.tree import INDEX, ProcessTree

if TYPE_CHECKING:
    from rookery.daemon.manager.keeper_client import KeeperClient, KeeperHandle


class KeptTree(ProcessTree):
    """See Tree. For a handle whose process was born as the keeper's child."""

    def __init__(self, client: KeeperClient, handle: KeeperHandle, cookie: str) -> None:
        super().__init__(handle.pid, handle.start_time, cookie)
        self._client = client
        self._handle = handle

    def members(self) -> list[tuple[int, int]]:
        """See Tree. Whoever is missed because he is just coming or going is a stranger at the next look."""
        if self._may_have_strangers():
            return super().members()
        found = [] if self._handle.exit.done() else _descent(self._handle.pid, self._handle.start_time)
        self.seen.update(found)
        return found

    def _may_have_strangers(self) -> bool:
        ours = self._client.pids_alive() | self._client.helpers()
        for _ in range(2):  # while others of them end, one may be left out of the list
            children = kernel.children(self._client.pid)
            if os.getpid() not in children:  # we are one of them; a kernel that does not tell, or a keeper that died
                return True
            if any(pid not in ours and self._may_be_of_it(pid) for pid in children):
                return True
        return False

    def _may_be_of_it(self, pid: int) -> bool:
        found = kernel.facts(pid)
        if found is None or pid == os.getpid() or found.start_time < self._handle.start_time:
            return False
        if (pid, found.start_time) in self.seen or self.in_session(found):
            return True
        cookie = INDEX.cookie(found)
        return cookie is None or cookie == self._cookie


def _descent(pid: int, start_time: int) -> list[tuple[int, int]]:
    """The living of a tree, its root first. A child is never older than its parent, so no used-again pid comes in."""
    found: list[tuple[int, int]] = []
    waiting = [(pid, start_time)]
    while waiting:
        at, not_before = waiting.pop(0)
        facts = kernel.facts(at)
        if facts is None or facts.start_time < not_before or (at == pid and facts.start_time != start_time):
            continue
        if facts.state not in kernel.DEAD_STATES:
            found.append((at, facts.start_time))
        waiting += [(child, facts.start_time) for child in kernel.children(at)]
    return found
