"""Looking at all workers now and then: who is stuck, who is to be replaced, how fast they are."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from rookery.cluster import stats
from rookery.cluster.events import ClusterEvent
from rookery.cluster.limits import Facts, why_replace
from rookery.lifecycle.state import State
from rookery.metrics.sampler import Root, Sampler
from rookery.process.tree import INDEX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rookery._base.clock import Clock
    from rookery.cluster.crew import WorkerCrew
    from rookery.cluster.events import Teller
    from rookery.cluster.member import Member
    from rookery.cluster.settings import Settings
    from rookery.metrics.sampler import Usage

_log = logging.getLogger("rookery.cluster")
_SAMPLE_EVERY = 2.0
_RATE_OVER = 5.0


class Watch:
    """recycle: replaces the worker of a slot. usage: the last sample, by the member's unit."""

    def __init__(
        self,
        crew: WorkerCrew,
        settings: Settings,
        clock: Clock,
        teller: Teller,
        recycle: Callable[[int], Awaitable[object]],
    ) -> None:
        self._crew = crew
        self._settings = settings
        self._clock = clock
        self._teller = teller
        self._recycle = recycle
        self._sampler = Sampler(INDEX.cookie)
        self._sampled = float("-inf")
        self._recycled = float("-inf")
        self._failures = 0
        self._recycling: asyncio.Task[object] | None = None
        self._history: dict[tuple[str, int], deque[tuple[float, int]]] = {}
        self.usage: dict[str, Usage] = {}
        times = [1.0, *[t / 4 for t in (settings.worker_timeout, settings.max_lifetime) if t]]
        self.period = max(0.05, min(times))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                self.look()
            except Exception:  # the next look may succeed
                _log.exception("looking at the workers failed")
            await self._clock.sleep(self.period)

    def look(self) -> None:
        """Once."""
        now = self._clock.monotonic()
        if now - self._sampled >= _SAMPLE_EVERY:
            self.sample(now)
        for member in self._crew:
            numbers = member.now
            if member.unit.state is State.RUNNING and numbers is not None:
                self._count(member, numbers, now)
                self._check_stuck(member, numbers, now)
        self._check_limits(now)

    def sample(self, now: float) -> None:
        """Take the cpu and memory of all trees."""
        self._sampled = now
        roots: dict[str, Root] = {}
        cookies: dict[str, str] = {}
        for member in self._crew:
            unit = member.unit
            if unit.pid is not None and unit.start_time is not None:
                roots[unit.key] = Root(unit.pid, unit.start_time)
                cookies[unit.cookie] = unit.key
        self.usage = self._sampler.sample(roots, cookies, now)

    def rate(self, member: Member) -> float:
        """Requests in a second, over the last seconds."""
        seen = self._history.get((member.unit.key, member.id))
        if not seen or len(seen) < 2 or seen[-1][0] <= seen[0][0]:
            return 0.0
        return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])

    def _count(self, member: Member, numbers: stats.Numbers, now: float) -> None:
        seen = self._history.setdefault((member.unit.key, member.id), deque())
        seen.append((now, numbers.requests))
        while now - seen[0][0] > _RATE_OVER:
            seen.popleft()
        if len(self._history) > 4 * len(list(self._crew)) + 16:
            keep = {(one.unit.key, one.id) for one in self._crew}
            self._history = {key: value for key, value in self._history.items() if key in keep}

    def _check_stuck(self, member: Member, numbers: stats.Numbers, now: float) -> None:
        limit = self._settings.worker_timeout
        silent = member.silence.look(numbers.heartbeat, now, period=self.period)
        if limit is None or member.blame or not member.silence.is_known or silent < limit:
            return
        why = f"no sign of life for {silent:.1f} s (worker_timeout is {limit:g} s)"
        self._teller.tell(ClusterEvent("worker_stuck", self._clock.wall(), why, member.slot, member.id, member.pid))
        member.end_stuck(why)

    def _check_limits(self, now: float) -> None:
        settings = self._settings
        if self._recycling is not None and not self._recycling.done():
            return
        pause = settings.policy.backoff.ceiling(self._failures) if self._failures else 0.0
        if now - self._recycled < max(settings.min_recycle_interval, pause):
            return
        # The oldest first: under load a young one may be over its limit before an old one has had its turn.
        for slot, member in sorted(self._crew.members.items(), key=lambda item: item[1].id):
            numbers = member.now
            if numbers is None or not member.unit.is_ready or member.retired:
                continue
            usage = self.usage.get(member.unit.key)
            facts = Facts(
                requests=numbers.requests,
                limit=member.limit,
                uptime=member.unit.uptime,
                lifetime=member.lifetime,
                memory=None if usage is None else usage.memory,
                max_memory=settings.max_memory,
                wants_replacement=bool(numbers.flags & stats.WANTS_REPLACEMENT),
            )
            why = why_replace(facts)
            if why:
                self._recycled = now
                self._teller.tell(
                    ClusterEvent("worker_recycled", self._clock.wall(), why, slot, member.id, member.pid, wanted=True)
                )
                self._recycling = asyncio.ensure_future(self._quietly(slot))
                return

    async def _quietly(self, slot: int) -> None:
        try:
            await self._recycle(slot)
            self._failures = 0
        except Exception as error:
            self._failures += 1
            _log.warning("worker %d was not replaced: %s", slot, error)

    async def close(self) -> None:
        """Give up a replacement that is under way."""
        if self._recycling is not None:
            self._recycling.cancel()
            await asyncio.gather(self._recycling, return_exceptions=True)
