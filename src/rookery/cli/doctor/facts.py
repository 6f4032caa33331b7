"""What the rules of ``rook doctor`` judge. Plain values; None where the system does not tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Level = Literal["ok", "note", "warning", "error"]


class Finding(NamedTuple):
    """What a rule found. what: one line; why: one line or ""; hint: what to try, or ""."""

    rule: str
    level: Level
    what: str
    why: str = ""
    hint: str = ""


class Stray(NamedTuple):
    """A process that carries a cookie of this home. unit, generation: whose it was."""

    pid: int
    command: str
    unit: str
    generation: int


class Limits(NamedTuple):
    """Open files of a process of ours: soft and hard limit, and how many it has open now (None: not told)."""

    who: str
    pid: int
    soft: int
    hard: int
    used: int | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """ping: the manager's answer, None where none runs; silence: why it gives none though it may run, or "";
    details: its InstanceDetails; warning: what it wants to be known.

    version: ours; cpus: that may be used; memory, disk: bytes in all and available; home_problem: why the home cannot
    be written to, or ""; log_bytes: what the logs take now; limits: of keeper, manager and collector; buffering:
    (name:index, pid) of Python processes that keep their output back; strays: processes with our cookie; cgroup: the
    keeper's; units: systemd service files that run rook; lingers: whether the user's services stay without a login;
    features: kernel features and whether they are there.
    """

    home: str = ""
    home_problem: str = ""
    ping: dict[str, Any] | None = None
    silence: str = ""
    has_apps: bool = False
    details: list[dict[str, Any]] = field(default_factory=list)
    warning: str = ""
    version: str = ""
    cpus: float = 1.0
    memory: tuple[int, int] | None = None
    disk: tuple[int, int] | None = None
    log_bytes: int = 0
    limits: list[Limits] = field(default_factory=list)
    buffering: list[tuple[str, int]] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)
    is_root: bool = False
    user: str = ""
    has_systemd: bool = False
    cgroup: str | None = None
    units: list[str] = field(default_factory=list)
    lingers: bool = False
    features: dict[str, bool] = field(default_factory=dict)
