"""How many workers a pool should have: whom to start and whom to stop, given what is.

Nothing here counts workers. Every decision begins with those that really live, so a worker whose death is seen twice is
replaced once. What is remembered is trouble: starts that fail, and workers that die before they were of any use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from rookery.lifecycle.restart import Backoff, Decision, RestartHistory, RestartPolicy, decide, decide_failed_start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rookery.lifecycle.exit import ExitStatus

K = TypeVar("K")

BRAKE = RestartPolicy(backoff=Backoff(base=0.1, factor=2.0, cap=5.0, jitter=False))
"""The default policy. A task may have to wait for the next try, so the delays are short."""
GIVE_UP_AFTER = 3
"""Failed starts in a row after which waiting tasks fail, if no worker lives."""


@dataclass(frozen=True, slots=True)
class SizeFacts(Generic[K]):
    """What is, all at one moment.

    queued: tasks that no worker has begun; idle: ready workers without a task, and since when (monotonic seconds);
    busy: ready workers with a task, whom the pool needs no more the later they stand; starting: not ready yet;
    leaving: told to end, now or after their task, and still alive; asked: more workers than these, by a call of grow;
    is_closing: no new tasks come.
    """

    minimum: int
    maximum: int
    queued: int = 0
    idle: Sequence[tuple[K, float]] = ()
    busy: Sequence[K] = ()
    starting: int = 0
    leaving: int = 0
    asked: int = 0
    is_closing: bool = False


@dataclass(frozen=True, slots=True)
class Sizing(Generic[K]):
    """What to do. start: so many workers; stop: these idle ones; retire: these busy ones after their task.

    gave_up: why every queued task must fail now, or ""; again: when to decide anew though nothing happened, or None.
    """

    start: int = 0
    stop: tuple[K, ...] = ()
    retire: tuple[K, ...] = ()
    gave_up: str = ""
    again: float | None = None


class Sizer(Generic[K]):
    """Decides. Not thread-safe: under the pool's lock, and what is to start counts as starting before it is released.

    So callers that grow the pool at the same time do not overshoot. idle_timeout: seconds, None: idle workers stay;
    random: numbers from 0 to 1, for a policy with jitter. is_braking: the last workers started were of no use;
    a plain attribute, for it is looked at for each task.
    """

    def __init__(
        self,
        *,
        idle_timeout: float | None = 300.0,
        policy: RestartPolicy = BRAKE,
        random: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._idle_timeout = idle_timeout
        self._policy = policy
        self._random = random
        self._history = RestartHistory()
        self._in_a_row = 0
        self._not_before = float("-inf")
        self._trouble_at = float("-inf")
        self._why = ""
        self.is_braking = False

    def how_many(self, now: float, facts: SizeFacts[K]) -> Sizing[K]:
        """What to do now. Call when tasks wait and nobody is free, when a worker comes or goes, and at ``again``."""
        if self.is_braking:
            for _, since in facts.idle:
                if since <= now - self._policy.stable_after:
                    self.worked(since)
        useful = len(facts.idle) + len(facts.busy) + facts.starting
        if useful > facts.maximum:
            return self._fewer(facts, useful - facts.maximum)
        if useful == 0 and facts.leaving == 0 and facts.queued and self._in_a_row >= GIVE_UP_AFTER:
            why = f"{GIVE_UP_AFTER} starts in a row failed, and no worker is left; the last: {self._why}"
            self._in_a_row = GIVE_UP_AFTER - 1  # the tasks that come later are worth one try
            return replace(self.how_many(now, replace(facts, queued=0)), gave_up=why)
        needed = self._needed(facts)
        room = facts.maximum - useful - facts.leaving
        missing = min(needed - useful, room)
        if missing > 0:
            return self._more(now, facts, missing)
        return self._idle_out(now, facts, needed)

    def start_failed(self, now: float, why: str) -> None:
        """A worker could not be started, or was not ready in time."""
        self._in_a_row += 1
        self._why = why
        self._trouble_at = now
        self.is_braking = True
        if now >= self._not_before:  # of many that fail together the first counts
            self._brake(now, decide_failed_start(self._policy, self._history, why, now=now, random=self._random))

    def worked(self, ready_at: float) -> None:
        """A worker that was ready then has begun a task: starting works. Need not be told unless is_braking.

        What a worker from before the trouble does says nothing about it.
        """
        if ready_at > self._trouble_at:
            self._in_a_row = 0
            self._history.reset()
            self._trouble_at = float("-inf")
            self.is_braking = False

    def died(self, now: float, *, lifetime: float, tasks: int, status: ExitStatus) -> None:
        """A worker died that nobody had told to. lifetime: seconds since it was ready; tasks: how many it had begun.

        One that had begun a task, or lived long enough, is replaced at once, unless there is trouble with others.
        """
        if tasks or lifetime >= self._policy.stable_after:
            self.worked(now - lifetime)
            if self.is_braking:
                return
            lifetime = max(lifetime, self._policy.stable_after)
        else:
            self._trouble_at = now
            self.is_braking = True
            if lifetime < self._policy.min_uptime:
                self._in_a_row += 1
                self._why = f"a worker {status} {lifetime:.1f} s after it was ready"
        if now >= self._not_before:
            self._brake(
                now, decide(self._policy, self._history, status, lifetime=lifetime, now=now, random=self._random)
            )

    def _brake(self, now: float, decision: Decision) -> None:
        """A pool always tries again; what the policy would leave alone is tried after its longest delay."""
        self._not_before = now + (decision.delay if decision.action == "restart" else self._policy.backoff.cap)

    @staticmethod
    def _needed(facts: SizeFacts[K]) -> int:
        for_tasks = len(facts.busy) + facts.queued
        if facts.is_closing:
            return min(facts.maximum, for_tasks)
        asked = len(facts.idle) + len(facts.busy) + facts.starting + facts.asked if facts.asked else 0
        return min(facts.maximum, max(facts.minimum, for_tasks, asked))

    def _more(self, now: float, facts: SizeFacts[K], missing: int) -> Sizing[K]:
        if now < self._not_before:
            return Sizing(again=self._not_before)
        if self._in_a_row:  # one at a time, until one is of use
            missing = 0 if facts.starting else 1
        return Sizing(start=missing)

    def _fewer(self, facts: SizeFacts[K], excess: int) -> Sizing[K]:
        """Too many since the maximum was lowered: idle ones first; those that start are judged when they are ready."""
        stop = [key for key, _ in sorted(facts.idle, key=_since)[:excess]]
        retire = max(0, excess - len(stop) - facts.starting)
        return Sizing(stop=tuple(stop), retire=tuple(facts.busy[len(facts.busy) - retire :]))

    def _idle_out(self, now: float, facts: SizeFacts[K], needed: int) -> Sizing[K]:
        """Those idle for too long, the longest first; never so many that the known need would start one again."""
        ready = len(facts.idle) + len(facts.busy)
        longest = sorted(facts.idle, key=_since)[: max(0, ready - needed)]
        if facts.is_closing:
            return Sizing(stop=tuple(key for key, _ in longest))
        if self._idle_timeout is None or ready <= facts.minimum:
            return Sizing()
        # Compared as the time is told in again: with a difference, rounding might never find it to be over.
        stop = tuple(key for key, since in longest if since + self._idle_timeout <= now)
        if ready - len(stop) <= facts.minimum:
            return Sizing(stop=stop)
        left = longest[len(stop) :]
        # Who is busy now may be idle a moment later, which nobody tells.
        return Sizing(stop=stop, again=(left[0][1] if left else now) + self._idle_timeout)


def _since(pair: tuple[object, float]) -> float:
    return pair[1]
