"""The words of the control API: requests and answers, as JSON objects over HTTP.

Version 1. The command line's fast path reads the same JSON without these classes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from rookery import __version__

API_VERSION = 1
Wait = Literal["settled", "ready", "started", "none"]
"""How long a mutating request waits: settled = ready, or alive for its min_uptime where it has no probe."""


class ExitInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How a process ended. code or signal is None; reason is a sentence; at is wall time."""

    code: int | None
    signal: str | None
    reason: str
    at: float
    lifetime: float | None = None
    stderr: tuple[str, ...] = ()
    """Its last lines on stderr, 10 at most, 500 characters each."""


class InstanceRow(msgspec.Struct, kw_only=True):
    """One instance, as ``list --json`` shows it."""

    id: int
    name: str
    namespace: str
    index: int
    pid: int | None
    state: str
    ready: bool
    restarts: int
    uptime: float | None
    cpu: float | None
    memory: int | None
    exit: ExitInfo | None
    since: float
    bind: str | None = None


class ProcessRow(msgspec.Struct, kw_only=True):
    """One process of an instance's tree."""

    pid: int
    ppid: int
    command: str
    memory: int
    cpu: float | None = None


class InstanceDetail(msgspec.Struct, kw_only=True):
    """One instance, as ``show --json`` shows it."""

    row: InstanceRow
    app: dict[str, object]
    """The AppSpec in use, secrets masked."""
    desired: Literal["running", "stopped"]
    generation: int
    next_restart: float | None
    """Seconds until the next start while in backoff."""
    tree: list[ProcessRow]
    status: str
    """What it says of itself (STATUS= on its notify socket)."""
    log_out: str
    log_err: str


class AppSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where the log files of one instance are; what ``rook logs`` needs to read them itself."""

    id: int
    name: str
    index: int
    out: str
    err: str
    timestamps: bool = False


class Outcome(msgspec.Struct, kw_only=True):
    """What became of one instance in a mutating request."""

    name: str
    index: int
    id: int
    ok: bool
    did: str
    """started, restarted, stopped, deleted, unchanged, or failed."""
    state: str
    pid: int | None = None
    reason: str = ""
    exit: ExitInfo | None = None
    log: str = ""


class ActionResult(msgspec.Struct, kw_only=True):
    """What a mutating request did. expired: the wait's limit passed before everything settled."""

    outcomes: list[Outcome]
    expired: bool = False


class StartRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make these apps run as described: new ones are added, changed ones replaced, equal running ones left.

    specs: AppSpecs as JSON; base_env: the caller's filtered environment; timeout: seconds.
    """

    specs: list[msgspec.Raw]
    base_env: dict[str, str]
    wait: Wait = "settled"
    timeout: float = 30.0


class ActRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Do something with known apps. selectors: see docs/reference/selectors; timeout: seconds."""

    selectors: list[str]
    wait: Wait = "settled"
    timeout: float = 30.0


class SendRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Write text to the stdin of apps, as it is."""

    selectors: list[str]
    text: str


class UpgradeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hand the manager's role to another version. python: its interpreter; root: the folder that holds the package."""

    python: str
    root: str


class Ping(msgspec.Struct, frozen=True, kw_only=True):
    """The manager's own facts."""

    pid: int
    uptime: float
    epoch: int
    apps: int
    home: str
    keeper_pid: int
    collector_pid: int | None
    version: str = __version__
    api: int = API_VERSION


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error answer (application/problem+json). exit_code is the command line's (1, 2, 3 or 5)."""

    title: str
    status: int
    detail: str = ""
    hint: str = ""
    exit_code: int = 1
