"""Looking at all workers now and then: who is stuck, who is to be replaced, how fast they are."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Protocol

from rookery.cluster import stats
from rookery.cluster.events import ClusterEvent
from rookery.cluster.limits import Facts, why_replace
from rookery.lifecycle.state import State
from rookery.metrics.sampler import Root, Sampler
from rookery.process.tree import INDEX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from rookery._base.clock import Clock
    from rookery.cluster.care import Care
    from rookery.cluster.settings import Settings
    from rookery.metrics.sampler import Usage
    from rookery.supervise.unit import Unit

_log = logging.getLogger("rookery.cluster")
_SAMPLE_EVERY = 2.0
_RATE_OVER = 5.0


class Watched(Protocol):
    """A worker of a slot. id: of its present copy; retired: it is to go; now: what its present copy has counted."""

    slot: int
    retired: bool

    @property
    def id(self) -> int:
        """See the class."""
        ...

    @property
    def unit(self) -> Unit:
        """What keeps it alive."""
        ...

    @property
    def care(self) -> Care:
        """Who looks after its present copy."""
        ...

    @property
    def now(self) -> stats.Numbers | None:
        """See the class."""
        ...


class Workers(Protocol):
    """Everybody by iterating, also those on the way in or out."""

    @property
    def members(self) -> Mapping[int, Watched]:
        """Who has which slot."""
        ...

    def __iter__(self) -> Iterator[Watched]:
        """See the class."""
        ...


class Watch:
    """recycle: replaces the worker of a slot; tell: called with what is noticed. usage: the last sample, by the
    member's unit; samples: whether it is taken here, or by somebody else.
    """

    def __init__(
        self,
        crew: Workers,
        settings: Callable[[], Settings],
        clock: Clock,
        tell: Callable[[ClusterEvent], None],
        recycle: Callable[[int], Awaitable[object]],
        *,
        samples: bool = True,
    ) -> None:
        self._crew = crew
        self._settings = settings
        self._clock = clock
        self._tell = tell
        self._samples = samples
        self._recycle = recycle
        self._sampler = Sampler(INDEX.cookie)
        self._sampled = float("-inf")
        self._recycled = float("-inf")
        self._failures = 0
        self._recycling: asyncio.Task[object] | None = None
        self._history: dict[tuple[str, int], deque[tuple[float, int]]] = {}
        self.usage: dict[str, Usage] = {}

    @property
    def period(self) -> float:
        """Seconds between two looks."""
        settings = self._settings()
        times = [1.0, *[t / 4 for t in (settings.worker_timeout, settings.max_lifetime) if t]]
        return max(0.05, min(times))

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
        if self._samples and now - self._sampled >= _SAMPLE_EVERY:
            self.sample(now)
        everybody = list(self._crew)
        for member in everybody:
            numbers = member.now
            if member.unit.state is State.RUNNING and numbers is not None:
                self._count(member, numbers, now)
                self._check_stuck(member, numbers, now)
        if len(self._history) > 4 * len(everybody) + 16:
            keep = {(one.unit.key, one.id) for one in everybody}
            self._history = {key: value for key, value in self._history.items() if key in keep}
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

    def rate(self, member: Watched) -> float:
        """Requests in a second, over the last seconds."""
        seen = self._history.get((member.unit.key, member.id))
        if not seen or len(seen) < 2 or seen[-1][0] <= seen[0][0]:
            return 0.0
        return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])

    def _count(self, member: Watched, numbers: stats.Numbers, now: float) -> None:
        seen = self._history.setdefault((member.unit.key, member.id), deque())
        seen.append((now, numbers.requests))
        while now - seen[0][0] > _RATE_OVER:
            seen.popleft()

    def _check_stuck(self, member: Watched, numbers: stats.Numbers, now: float) -> None:
        limit = self._settings().worker_timeout
        care = member.care
        silent = care.silence.look(numbers.heartbeat, now, period=self.period)
        if limit is None or care.blame or not care.silence.is_known or silent < limit:
            return
        why = f"no sign of life for {silent:.1f} s (worker_timeout is {limit:g} s)"
        self._tell(ClusterEvent("worker_stuck", self._clock.wall(), why, member.slot, member.id, member.unit.pid))
        care.end_stuck(why)

    def _check_limits(self, now: float) -> None:
        settings = self._settings()
        if self._recycling is not None and not self._recycling.done():
            return
        pause = settings.policy.backoff.ceiling(self._failures) if self._failures else 0.0
        if now - self._recycled < max(settings.min_recycle_interval, pause):
            return
        # The oldest first: under load a young one may be over its limit before an old one has had its turn.
        for slot, member in sorted(self._crew.members.items(), key=lambda item: -(item[1].unit.uptime or 0.0)):
            numbers = member.now
            if numbers is None or not member.unit.is_ready or member.retired:
                continue
            usage = self.usage.get(member.unit.key)
            facts = Facts(
                requests=numbers.requests,
                limit=member.care.limit,
                uptime=member.unit.uptime,
                lifetime=member.care.lifetime,
                memory=None if usage is None else usage.memory,
                max_memory=settings.max_memory,
                wants_replacement=bool(numbers.flags & stats.WANTS_REPLACEMENT),
            )
            why = why_replace(facts)
            if why:
                self._recycled = now
                self._tell(
                    ClusterEvent(
                        "worker_recycled", self._clock.wall(), why, slot, member.id, member.unit.pid, wanted=True
                    )
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
