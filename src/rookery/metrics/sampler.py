"""The sampler: one pass over the machine's processes gives the numbers of every tree.

0.4 ms per 100 processes. A process is counted to the nearest root above it; one that ran away is found by the cookie
that is_of tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rookery._os import kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rookery._os.linux import ProcessFacts

_TOLERANCE = 0.5


@dataclass(slots=True)
class Usage:
    """One tree. cpu: percent of one core since the sample before, None for the first; memory: resident bytes."""

    cpu: float | None = None
    memory: int = 0
    processes: int = 0


@dataclass(frozen=True, slots=True)
class Root:
    """The leader of a tree."""

    pid: int
    start_time: int


class Sampler:
    """Keeps the cpu times of the pass before. cookie_of: the cookie of a process, or None."""

    def __init__(self, cookie_of: Callable[[ProcessFacts], str | None]) -> None:
        self._cookie_of = cookie_of
        self._ticks: dict[tuple[int, int], int] = {}
        self._at: float | None = None

    def sample(self, roots: Mapping[str, Root], cookies: Mapping[str, str], now: float) -> dict[str, Usage]:
        """The usage of each root's tree by its key.

        roots: {key: leader}; cookies: {cookie: key}, for those that ran away; now: monotonic seconds.
        """
        table = {process.pid: process for process in kernel.processes()}
        leaders = {(root.pid, root.start_time): key for key, root in roots.items()}
        elapsed = None if self._at is None else now - self._at
        usage = {key: Usage() for key in roots}
        ticks: dict[tuple[int, int], int] = {}
        owners: dict[int, str | None] = {}
        for process in table.values():
            key = self._owner(process, table, leaders, cookies, owners)
            if key is None:
                continue
            identity = (process.pid, process.start_time)
            ticks[identity] = process.cpu_ticks
            one = usage[key]
            one.processes += 1
            one.memory += process.rss_pages * kernel.PAGE_SIZE
            if elapsed:
                # A process that is new since the last pass has used all of its time in between; one that is older and
                # was only found now (its root was adopted, or it ran away) has not.
                before = self._ticks.get(identity)
                if before is None:
                    before = 0 if kernel.age(process.start_time) <= elapsed + _TOLERANCE else process.cpu_ticks
                spent = process.cpu_ticks - before
                one.cpu = (one.cpu or 0.0) + 100.0 * spent / kernel.TICKS_PER_SECOND / elapsed
        self._ticks, self._at = ticks, now
        return usage

    def _owner(
        self,
        process: ProcessFacts,
        table: Mapping[int, ProcessFacts],
        leaders: Mapping[tuple[int, int], str],
        cookies: Mapping[str, str],
        owners: dict[int, str | None],
    ) -> str | None:
        path: list[int] = []
        at: ProcessFacts | None = process
        owner: str | None = None
        while at is not None and owner is None and len(path) < len(table):
            if at.pid in owners:
                owner = owners[at.pid]
                break
            path.append(at.pid)
            owner = leaders.get((at.pid, at.start_time)) or (cookies and cookies.get(self._cookie_of(at) or "")) or None
            at = table.get(at.ppid)
        owners.update(dict.fromkeys(path, owner))  # whoever is below an owned one is owned too
        return owner


def tree_of(root: Root) -> Iterable[ProcessFacts]:
    """The living processes of a tree by descent, parents before children."""
    children: dict[int, list[ProcessFacts]] = {}
    first = None
    for process in kernel.processes():
        children.setdefault(process.ppid, []).append(process)
        if (process.pid, process.start_time) == (root.pid, root.start_time):
            first = process
    waiting = [first] if first else []
    found = []
    while waiting:
        process = waiting.pop(0)
        found.append(process)
        waiting += children.get(process.pid, [])
    return found
