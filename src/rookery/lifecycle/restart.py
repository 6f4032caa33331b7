"""One question: given the policy, what has been and this exit, start again after how long, or not, and why.

Backoff is the "full jitter" form: a delay drawn evenly from 0 to min(cap, base * factor**n), see Marc Brooker,
"Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.lifecycle.exit import ExitStatus

_HISTORY = 1000
_MOST_ATTEMPTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Backoff:
    """How the delay grows. base and cap: seconds; factor 1 is a fixed delay; kind "linear" adds base each time."""

    base: float = 0.1
    factor: float = 2.0
    cap: float = 30.0
    jitter: bool = True
    kind: Literal["exponential", "linear"] = "exponential"

    def ceiling(self, attempt: int) -> float:
        """The longest delay before restart number attempt (from 0), in seconds."""
        attempt = min(attempt, _MOST_ATTEMPTS)
        try:
            grown = self.base * (attempt + 1 if self.kind == "linear" else float(self.factor) ** attempt)
        except OverflowError:  # too large for a float is far beyond any cap, unless there is nothing to grow
            return self.cap if self.base else 0.0
        return float(min(self.cap, grown))

    def delay(self, attempt: int, random: Callable[[], float]) -> float:
        """The delay before restart number attempt; random gives numbers from 0 to 1."""
        ceiling = self.ceiling(attempt)
        return ceiling * random() if self.jitter else ceiling


@dataclass(frozen=True, slots=True)
class MaxRestarts:
    """More than count restarts within window seconds is fatal."""

    count: int
    window: float = 60.0


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When to start again what has ended by itself. What the user stopped stays stopped.

    when: always, on-failure (a code outside ok_exit_codes, or a signal) or never; restart_delay: seconds before each
    restart in place of the backoff, 0 for the backoff; min_uptime: seconds below which an exit counts as unstable;
    stable_after: seconds after which the count of failures starts again and the next restart is immediate.
    """

    when: Literal["always", "on-failure", "never"] = "always"
    ok_exit_codes: frozenset[int] = frozenset({0})
    backoff: Backoff = Backoff()
    restart_delay: float = 0.0
    max_restarts: MaxRestarts | None = None
    min_uptime: float = 1.0
    stable_after: float = 10.0


@dataclass(slots=True)
class RestartHistory:
    """What a policy remembers of one instance; reset() forgets it (a manual start does)."""

    failures: int = 0
    restarts: deque[float] = field(default_factory=deque)

    def reset(self) -> None:
        """Forget everything."""
        self.failures = 0
        self.restarts.clear()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do: restart after ``delay`` seconds, or leave it ("exited"), or give up ("fatal"). why: a sentence."""

    action: Literal["restart", "exited", "fatal"]
    why: str
    delay: float = 0.0


def decide(
    policy: RestartPolicy,
    history: RestartHistory,
    exit_status: ExitStatus,
    *,
    lifetime: float,
    now: float,
    random: Callable[[], float],
) -> Decision:
    """What follows an exit that nobody asked for; writes the restart into history.

    lifetime: seconds the process ran; now: monotonic seconds.
    """
    succeeded = exit_status.code is not None and exit_status.code in policy.ok_exit_codes
    if policy.when == "never":
        return Decision("exited", f"{exit_status}; restart = never")
    if policy.when == "on-failure" and succeeded:
        return Decision("exited", f"{exit_status}; that counts as success")
    return _again(policy, history, str(exit_status), lifetime=lifetime, now=now, random=random)


def decide_failed_start(
    policy: RestartPolicy, history: RestartHistory, why: str, *, now: float, random: Callable[[], float]
) -> Decision:
    """What follows a start that the system refused for now (no memory, no processes)."""
    if policy.when == "never":
        return Decision("fatal", f"{why}; restart = never")
    return _again(policy, history, why, lifetime=0.0, now=now, random=random)


def _again(
    policy: RestartPolicy,
    history: RestartHistory,
    why: str,
    *,
    lifetime: float,
    now: float,
    random: Callable[[], float],
) -> Decision:
    limit = policy.max_restarts
    if limit is not None:
        recent = sum(1 for moment in history.restarts if now - moment <= limit.window)
        if recent >= limit.count:
            return Decision("fatal", f"{why}; {recent} restarts within {limit.window:g} s, no more are allowed")
    if lifetime >= policy.stable_after:
        history.failures = 0
        delay = policy.restart_delay
    else:
        delay = policy.restart_delay or policy.backoff.delay(history.failures, random)
        history.failures += 1
    history.restarts.append(now)
    while len(history.restarts) > max(_HISTORY, limit.count if limit else 0):
        history.restarts.popleft()
    return Decision("restart", why, delay)
