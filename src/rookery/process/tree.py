"""Process trees: who belongs to a leader, even if it ran away.

Three marks, any of which is enough: it descends from the leader; it is in the leader's session; it carries the
cookie in its environment (that finds double-forked daemons in a session of their own). ``env -i``, sudo and other users
lose the cookie; then descent and session remain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rookery._base.ids import COOKIE
from rookery._os import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rookery._os.linux import ProcessFacts

_CACHE_LIMIT = 20_000
_SETTLED = 2.0


class CookieIndex:
    """Which cookie a process carries, read once for each (pid, start time). One per process is enough."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], str | None] = {}

    def cookie(self, found: ProcessFacts) -> str | None:
        """The value of ROOKERY_UNIT of that process, or None."""
        key = (found.pid, found.start_time)
        if key in self._known:
            return self._known[key]
        value = kernel.environ_value(found.pid, COOKIE)
        if value is not None or kernel.age(found.start_time) > _SETTLED:
            # A child between fork and exec shows its parent's environment, so that "none" is not final at once.
            self._known[key] = value
        return value

    def forget_all_but(self, alive: Iterable[tuple[int, int]]) -> None:
        """Drop what is no longer there; called now and then so that the index stays bounded."""
        if len(self._known) > _CACHE_LIMIT:
            keep = set(alive)
            self._known = {key: value for key, value in self._known.items() if key in keep}


def may_carry(found: ProcessFacts, cookie: str) -> bool:
    """Whether a living process carries the cookie, or nobody can tell: in the middle of an exec none can be read."""
    if not cookie or found.state == "Z":
        return False
    if INDEX.cookie(found) == cookie:
        return True
    if kernel.age(found.start_time) > _SETTLED:
        return False
    # Again, for it may have come to the end of its exec between two looks.
    return not kernel.environment(found.pid) or INDEX.cookie(found) == cookie


INDEX = CookieIndex()


class ProcessTree:
    """The tree of one leader. pid and start_time: the leader's; cookie: its ROOKERY_UNIT or "" for none."""

    def __init__(self, pid: int, start_time: int, cookie: str, *, index: CookieIndex = INDEX) -> None:
        self._leader = (pid, start_time)
        self._cookie = cookie
        self._index = index
        self._session: int | None = pid
        self.seen: set[tuple[int, int]] = {self._leader}

    def members(self) -> list[tuple[int, int]]:
        """See Tree. One pass over the machine's processes; what once belonged belongs for ever."""
        table = list(kernel.processes())
        self._check_session(table)
        marked = {(process.pid, process.start_time) for process in table if self._is_marked(process)}
        found = descendants(table, self._leader, self.seen | marked)
        self._index.forget_all_but((process.pid, process.start_time) for process in table)
        self.seen |= found
        return sorted(found, key=lambda identity: identity != self._leader)

    def signal(self, member: tuple[int, int], number: int) -> bool:
        """See Tree."""
        return kernel.signal_process(member[0], member[1], number)

    def in_session(self, process: ProcessFacts) -> bool:
        """Whether it is in the leader's session, as far as the last look can tell. A zombie may be asked for too."""
        return self._session == process.session and process.start_time >= self._leader[1]

    def _is_marked(self, process: ProcessFacts) -> bool:
        if (process.pid, process.start_time) in self.seen or self.in_session(process):
            return True
        return bool(self._cookie) and self._index.cookie(process) == self._cookie

    def _check_session(self, table: list[ProcessFacts]) -> None:
        """Give the session mark up, for good, once the number may be somebody else's.

        The number of a session is its leader's pid. While anybody is in it the kernel does not use it again; when
        nobody was found in it, whoever is in it later is a stranger. A leader without a session of its own has none.
        """
        is_held = False
        for process in table:
            if process.pid == self._session and process.start_time != self._leader[1]:
                self._session = None
                return
            is_held = is_held or self.in_session(process)
        if not is_held:
            self._session = None


def descendants(table: list[ProcessFacts], leader: tuple[int, int], seen: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """The living among the leader, those seen before, and all that descend from them."""
    children: dict[int, list[ProcessFacts]] = {}
    for process in table:
        children.setdefault(process.ppid, []).append(process)
    alive = {(process.pid, process.start_time) for process in table}
    found: set[tuple[int, int]] = set()
    waiting = [identity for identity in (leader, *seen) if identity in alive]
    while waiting:
        identity = waiting.pop()
        if identity in found:
            continue
        found.add(identity)
        # The table is no moment's picture: a child older than its parent is one of an earlier owner of that pid.
        waiting += [
            (child.pid, child.start_time) for child in children.get(identity[0], []) if child.start_time >= identity[1]
        ]
    return found
