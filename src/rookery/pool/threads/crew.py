"""The threads of a pool: who there is, and how many there should be. The pool's lock is held for all of it."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from typing import TYPE_CHECKING

from rookery.pool.rules.sizing import SizeFacts, Sizer
from rookery.pool.rules.status import WorkerStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.pool.rules.sizing import Sizing
    from rookery.pool.threads.member import Member
    from rookery.pool.threads.settings import ThreadSettings

_log = logging.getLogger("rookery.pool")


class Crew:
    """members: those that work, the oldest first; idle: those without a task, the last one first to be woken;
    woken: how many are on their way to a task; given_up: those that still run one nobody waits for. make: a new member,
    not started.
    """

    def __init__(self, settings: ThreadSettings, make: Callable[[str, int], Member]) -> None:
        self.minimum = settings.min_workers
        self.maximum = settings.max_workers
        self.members: dict[Member, None] = {}
        self.idle: list[Member] = []
        self.woken = 0
        self.given_up: dict[Member, str] = {}
        self.sizer: Sizer[Member] = Sizer(idle_timeout=settings.idle_timeout)
        self.start_error: BaseException | None = None
        self._name = settings.name
        self._make = make
        self._numbers = itertools.count(1)
        self._lost: deque[int] = deque(maxlen=settings.max_workers)
        self._was_told = False

    @property
    def is_out_of_threads(self) -> bool:
        """Whether so many were given up and still run that no more are started."""
        return not self.members and len(self.given_up) >= 2 * self.maximum

    @property
    def is_saturated(self) -> bool:
        """Whether all that may be are there, and at work."""
        return not self.idle and len(self.members) >= self.maximum

    def decide(self, now: float, *, queued: int, asked: int, is_closing: bool) -> Sizing[Member]:
        """See sizing."""
        busy, starting, leaving = [], 0, 0
        for member in self.members:
            if member.leaves:
                leaving += 1
            elif not member.is_ready:
                starting += 1
            elif not member.is_idle:
                busy.append(member)
        facts = SizeFacts(
            minimum=self.minimum,
            maximum=self.maximum,
            queued=queued,
            idle=[(member, member.since) for member in self.idle],
            busy=busy,
            starting=starting,
            # Those given up are replaced, but there must be an end to it.
            leaving=leaving + max(0, len(self.given_up) - self.maximum),
            asked=asked,
            is_closing=is_closing,
        )
        return self.sizer.how_many(now, facts)

    def start(self, now: float) -> Member | None:
        """One more; None where the system has no threads left."""
        restarts = self._lost.popleft() if self._lost else 0
        member = self._make(f"{self._name}-{next(self._numbers)}", restarts)
        self.members[member] = None
        try:
            member.thread.start()
        except RuntimeError as error:
            del self.members[member]
            self.start_error = error
            self.sizer.start_failed(now, str(error))
            return None
        return member

    def wake_one(self) -> None:
        """Send one of the idle to look for a task."""
        member = self.idle.pop()
        member.is_idle = False
        self.expect(member)
        member.wake.release()

    def expect(self, member: Member) -> None:
        """It is on its way to look for a task; until it has, nobody else need be woken."""
        member.is_woken = True
        self.woken += 1

    def awake(self, member: Member) -> None:
        """It looks."""
        if member.is_woken:
            member.is_woken = False
            self.woken -= 1

    def wake_all(self) -> None:
        """Send all to look."""
        while self.idle:
            self.wake_one()

    def dismiss(self, member: Member, why: str) -> None:
        """Have it leave: at once where it is idle, else after its task."""
        member.leaves = why
        if member.is_idle:
            self.idle.remove(member)
            member.is_idle = False
            member.wake.release()

    def give_up(self, member: Member) -> None:
        """Nobody waits for it any more; what it brings is dropped."""
        self.members.pop(member, None)
        self.given_up[member] = member.task.label if member.task is not None else "its initializer"
        member.is_given_up = True
        member.task = None
        if len(self.given_up) > self.maximum and not self._was_told:
            self._was_told = True
            _log.warning(
                "pool %s: %d threads run tasks that nobody waits for any more (%s is one); a thread cannot be ended,"
                " and with %d of them no new ones are started: use a ProcessPool for tasks that may hang",
                self._name,
                len(self.given_up),
                self.given_up[member],
                2 * self.maximum,
            )

    def replace(self, member: Member) -> None:
        """The next one that starts takes its place."""
        self._lost.append(member.restarts + 1)

    def remove(self, member: Member) -> None:
        """It has left."""
        self.awake(member)
        self.members.pop(member, None)
        if member.is_idle:
            self.idle.remove(member)
            member.is_idle = False
        if self.given_up.pop(member, None) is not None and not self.given_up:
            self._was_told = False

    def rows(self, now: float) -> list[WorkerStatus]:
        """For the status; those that were given up come last."""
        rows = []
        for member in [*self.members, *self.given_up]:
            task = member.task
            rows.append(
                WorkerStatus(
                    name=member.name,
                    state=member.state,
                    task=self.given_up.get(member) if task is None else task.label,
                    running_for=None if task is None else now - task.began,
                    tasks=member.tasks,
                    errors=member.errors,
                    uptime=now - member.born,
                    restarts=member.restarts,
                )
            )
        return rows
