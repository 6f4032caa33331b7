"""What a cluster is doing, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rookery.lifecycle.state import State

if TYPE_CHECKING:
    from rookery.cluster.member import Member
    from rookery.cluster.stats import Numbers
    from rookery.metrics.sampler import Usage


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker.

    slot: from 0, stays over restarts and reloads; id: of this process; state: of its unit; role: "serving", "rising"
    (of a reload) or "draining"; version: counts reloads; uptime: seconds; restarts: of the slot, not asked for;
    requests, errors (5xx): of this process; requests_per_second: over the last seconds; latency: seconds, {"p50": ...},
    empty without requests; memory: bytes of its tree; cpu: percent of a core; heartbeat: seconds since its last one.
    """

    slot: int
    id: int
    pid: int | None
    state: str
    role: str
    ready: bool
    version: int
    uptime: float | None
    restarts: int
    requests: int
    errors: int
    in_flight: int
    connections: int
    requests_per_second: float
    latency: dict[str, float]
    memory: int | None
    cpu: float | None
    heartbeat: float | None


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """workers: a row each, by slot; the numbers: of all since the start, workers that have gone too."""

    name: str
    addresses: tuple[str, ...]
    balance: str
    version: int
    is_reloading: bool
    workers: tuple[WorkerStatus, ...]
    requests: int
    errors: int
    in_flight: int
    requests_per_second: float
    latency: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def latency_of(numbers: Numbers) -> dict[str, float]:
    """Percentiles in seconds."""
    found = {f"p{share}": numbers.percentile(share / 100) for share in (50, 90, 99)}
    return {name: value for name, value in found.items() if value is not None}


def status_of(
    member: Member, role: str, *, restarts: int, rate: float, usage: Usage | None, now: float
) -> WorkerStatus:
    """A member's row. now: monotonic seconds."""
    numbers = member.now
    counted = member.plumbing.before if numbers is None else numbers
    unit = member.unit
    return WorkerStatus(
        slot=member.slot,
        id=member.id,
        pid=unit.pid,
        state=str(unit.state),
        role=role,
        ready=unit.is_ready,
        version=member.recipe.version,
        uptime=unit.uptime,
        restarts=restarts,
        requests=counted.requests,
        errors=counted.errors,
        in_flight=0 if numbers is None else numbers.in_flight,
        connections=0 if numbers is None else numbers.connections,
        requests_per_second=rate if unit.state is State.RUNNING else 0.0,
        latency=latency_of(counted),
        memory=None if usage is None else usage.memory,
        cpu=None if usage is None else usage.cpu,
        heartbeat=now - numbers.heartbeat if numbers is not None and numbers.heartbeat else None,
    )
