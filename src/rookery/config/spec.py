"""AppSpec: what an app is, as the API takes it and the state file keeps it.

Files and command lines are turned into AppSpecs by the caller (as the calling user, with paths made absolute);
the manager never reads a configuration file. Durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Wait = Literal["settled", "ready", "started", "none"]
Balance = Literal["shared", "hash", "port", "round_robin", "least_connections", "sticky"]
Kind = Literal["command", "asgi", "wsgi", "app", "node", "socket", "connection"]


class BackoffSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Delay growth: ``base * factor**n`` up to ``cap`` (seconds), with full jitter unless ``jitter`` is off."""

    base: float = 0.1
    factor: float = 2.0
    cap: float = 30.0
    jitter: bool = True


class MaxRestarts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """More than ``count`` restarts within ``window`` seconds is fatal."""

    count: int
    window: float = 60.0


class LogSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where output goes.

    merge: "none" one file per instance and stream, "streams" out and err in one, "instances" one per stream for all
    instances, "all" one file; max_size: bytes before rotation; keep: rotated files; timestamps: the time before each
    line, True for ISO 8601 or a pattern; prefix: ``name:index | `` before each line; json: one object a line;
    combined: besides, all in one file; rotate: by time too; compress: rotated files from the second on; on_full: while
    the disk is full, "drop" lines or "block" the app; via: "pipe" through the collector, "direct" a plain file,
    "stdout" nowhere but to whoever runs ``rook up``.
    """

    merge: Literal["none", "streams", "instances", "all"] = "none"
    max_size: int = 10 * 1024 * 1024
    keep: int = 7
    timestamps: bool | str = False
    prefix: bool = False
    json: bool = False
    combined: bool = False
    rotate: Literal["never", "hourly", "daily", "weekly"] = "never"
    compress: bool = False
    on_full: Literal["drop", "block"] = "drop"
    via: Literal["pipe", "direct", "stdout"] = "pipe"


class LimitSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Resource limits of each process (rlimits); None leaves the system's.

    memory: bytes of address space; open_files, processes: counts; cpu_time: seconds; core: bytes.
    """

    memory: int | None = None
    open_files: int | None = None
    processes: int | None = None
    cpu_time: int | None = None
    core: int | None = None


class ReadinessSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an instance counts as ready; without any of it, as soon as it runs.

    notify: when it says READY=1 on the socket in NOTIFY_SOCKET (sd_notify).
    """

    notify: bool = False


class AppSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One app. command is complete (interpreter, script and arguments); cwd is absolute.

    env is what the file and the options add; the base environment travels beside the spec (StartRequest.base_env).
    """

    name: str
    command: tuple[str, ...]
    cwd: str
    namespace: str = "default"
    instances: int = 1
    env: dict[str, str] = {}
    user: str | None = None
    group: str | None = None
    umask: int = 0o022
    limits: LimitSpec = LimitSpec()
    restart: Literal["always", "on-failure", "never"] = "always"
    ok_exit_codes: tuple[int, ...] = (0,)
    restart_delay: float = 0.0
    backoff: BackoffSpec = BackoffSpec()
    max_restarts: MaxRestarts | None = None
    min_uptime: float = 1.0
    stable_after: float = 10.0
    stop_signal: str = "SIGTERM"
    graceful_timeout: float = 10.0
    stop_scope: Literal["tree", "leader"] = "tree"
    stdin: Literal["null", "pipe"] = "null"
    readiness: ReadinessSpec = ReadinessSpec()
    logs: LogSpec = LogSpec()
    bind: tuple[str, ...] = ()
    """Where it listens: "host:port", "[v6]:port", "unix:/absolute/path". With it the instances share the sockets."""
    balance: Balance = "shared"
    kind: Kind = "command"
    """What the command is, or else what ``app`` is; "app": found by looking at it in the worker."""
    app: str = ""
    """ "package.module:attribute" for a worker of ours; command is then (interpreter, *arguments of the user)."""
    drain_timeout: float = 30.0
    linger: float = 2.0
    max_surge: int = 1
    start_timeout: float = 30.0
    backlog: int = 2048
    max_requests: int | None = None
    max_requests_jitter: float = 0.1
    max_lifetime: float | None = None
    worker_timeout: float | None = 30.0
    request_timeout: float | None = None
    options: dict[str, str | int | float | bool | None] = {}
    """uvicorn's options, for kinds app, asgi and wsgi."""
    origin: str = ""
    """The file it came from, or "" for a command line; shown only."""
