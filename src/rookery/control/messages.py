"""The words of the control API: requests and answers, as JSON objects over HTTP.

Version 1. The command line's fast path reads the same JSON without these classes.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from rookery import __version__

API_VERSION = 1
Wait = Literal["settled", "ready", "started", "none"]
"""How long a mutating request waits: settled = ready, or alive for its min_uptime where it has no probe."""
Until = Literal["ready", "settled", "running", "stopped", "exited"]
"""What can be waited for; stopped: at rest in any way but fatal, exited: ended by itself and not started again."""
UNTIL: tuple[Until, ...] = ("ready", "settled", "running", "stopped", "exited")
Seconds = Annotated[float, Meta(ge=0, le=604800)]
"""A time limit; a week at most."""
Selectors = Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(min_length=1, examples=[["web"], ["all"]])]
Name = Annotated[str, Meta(min_length=1, examples=["web"])]


class ExitInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How a process ended. code or signal is None; reason is a sentence; at is wall time."""

    code: int | None
    signal: str | None
    reason: str
    at: float
    lifetime: float | None = None
    stderr: tuple[str, ...] = ()
    """Its last lines on stderr, 10 at most, 500 characters each."""
    repeats: int = 1
    """How many times in a row it has ended by itself, soon after its start, just like this."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds within which half, nine tenths, 99 of 100 of a worker's requests were answered."""

    p50: float
    p90: float
    p99: float


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
    """Where it listens, with the real port; several with a comma. None: it is no worker of a cluster."""
    requests: int | None = None
    """That the present process has had; None where nobody counts."""
    errors: int | None = None
    """Answers with 500 and above among them."""
    in_flight: int | None = None
    requests_per_second: float | None = None
    """Over the last seconds."""
    latency: Latency | None = None
    connections: int | None = None
    heartbeat: float | None = None
    """Seconds since its last sign of life; None where it gives none."""


class BesideRow(msgspec.Struct, frozen=True, kw_only=True):
    """Another process of an instance during a reload: the next one, or an earlier one that finishes its work."""

    pid: int | None
    role: Literal["rising", "draining"]
    uptime: float | None


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
    beside: list[BesideRow] = []


class AppSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where the log files of one instance are; what ``rook logs`` needs to read them itself."""

    id: int
    name: str
    index: int
    out: str
    err: str
    timestamps: bool | str = False
    combined: str = ""
    """The file with everything besides, where there is one."""
    json: bool = False
    """Each line is a JSON object."""
    via: str = "pipe"


class LogLine(msgspec.Struct, kw_only=True):
    """A line of a log. time: when it came, None where nobody knows; partial: it goes on in the next one."""

    app: str
    instance: int | None
    stream: str
    time: str | None
    level: str
    message: str
    partial: bool = False


class Outcome(msgspec.Struct, kw_only=True):
    """What became of one instance in a mutating request."""

    name: str
    index: int
    id: int
    ok: bool
    did: str
    """started, restarted, reloaded, kept (a reload was given up before it), stopped, deleted, unchanged, failed."""
    state: str
    pid: int | None = None
    reason: str = ""
    exit: ExitInfo | None = None
    log: str = ""
    hint: str = ""
    """What a person may want to do about it, or ""."""


class ActionResult(msgspec.Struct, kw_only=True):
    """What a mutating request did. expired: the wait's limit passed before everything settled."""

    outcomes: list[Outcome]
    expired: bool = False
    left: list[str] = []
    """Names of apps that came from one of the applied files, are not in it any more, and go on."""


class StartRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make these apps run as described: new ones are added, changed ones replaced, equal running ones left.

    specs: AppSpecs as JSON; base_env: the caller's filtered environment; timeout: seconds; files: origins whose apps
    are all described here; prune: delete what came from one of them before and is described no more; reload: replace
    what runs, new before old, also where nothing has changed.
    """

    specs: list[msgspec.Raw]
    base_env: dict[str, str]
    wait: Wait = "settled"
    timeout: Seconds = 30.0
    files: list[str] = []
    prune: bool = False
    reload: bool = False


class ActRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Do something with known apps. selectors: see docs/reference/api; timeout: seconds.

    base_env: for start and restart: the environment that the apps get from now on in place of the one they have.
    """

    selectors: Selectors
    wait: Wait = "settled"
    timeout: Seconds = 30.0
    base_env: dict[str, str] | None = None


class ScaleRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give an app more or fewer instances. instances: a number, "+N", "-N", "max" (one per CPU) or "half"."""

    name: Name
    instances: Annotated[str | int, Meta(examples=[2, "+1"])]
    wait: Wait = "settled"
    timeout: Seconds = 30.0


class SelectRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Do something with these."""

    selectors: Selectors


class FlushRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Empty the logs of these, of all for no selector."""

    selectors: list[Annotated[str, Meta(min_length=1)]] = []


class Flushed(msgspec.Struct, frozen=True, kw_only=True):
    """How many log files were emptied."""

    emptied: int


class SignalRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send a signal, by name (with or without SIG) or number, to the leader or (tree) to everything of the instance."""

    selectors: Selectors
    signal: Annotated[str | int, Meta(examples=["HUP", 10])]
    tree: bool = False


class Signalled(msgspec.Struct, frozen=True, kw_only=True):
    """Who got a signal. processes: how many did."""

    id: int
    name: str
    index: int
    pid: int
    signal: str
    processes: int


class SendRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Write text to the stdin of apps, as it is."""

    selectors: Selectors
    text: str


class InstanceEnv(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of one instance; secrets are masked unless they were asked for.

    next: what its next copy is started with; running: what the present process was started with, None where it does
    not run or may not be read; made_at_start: names of variables whose value is only known then.
    """

    id: int
    name: str
    index: int
    next: dict[str, str]
    running: dict[str, str] | None
    made_at_start: list[str] = []


EVENT_TYPES = (
    *("state", "start", "adopted", "start_failed", "exit", "ready", "scale", "reset", "signal", "delete"),
    *("reload_started", "reload_done", "reload_failed", "worker_stuck", "worker_recycled"),
    *("manager", "log_full", "log_dropped", "gap"),
)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has happened. seq counts up from 1 in each epoch (one epoch per manager); time is wall time.

    type: state (before, after), start (pid), adopted (pid), start_failed, exit (code or signal), ready, scale (before,
    after: numbers of instances), reload_started, reload_done, reload_failed, worker_stuck, worker_recycled (reason:
    why it is replaced), reset, signal, delete, manager (reason: what it did), log_full and log_dropped (path,
    lines), gap (events were dropped before anybody read them). unit: the instance's id as a text, or "".
    """

    seq: int
    epoch: int
    time: float
    type: str
    unit: str = ""
    id: int | None = None
    name: str = ""
    namespace: str = ""
    index: int | None = None
    reason: str = ""
    before: str = ""
    after: str = ""
    pid: int | None = None
    code: int | None = None
    signal: str | None = None
    path: str = ""
    lines: int = 0

    @property
    def position(self) -> tuple[int, int]:
        """Where it stands among all events, of earlier and later managers too."""
        return self.epoch, self.seq


class EventQuery(NamedTuple):
    """Which events. selectors and types: any of them, all where empty; after: (epoch, seq) of the last one known."""

    selectors: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    after: tuple[int, int] | None = None


class RestartRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Restart the instances of one app."""

    name: Name


class Restarted(msgspec.Struct, frozen=True, kw_only=True):
    """The app's new process ids; pid is the first instance's."""

    name: str
    pid: int | None
    pids: list[int]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The manager answers."""

    status: Literal["ok"] = "ok"


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
