"""What is written down, version 1: enough for the next manager to go on."""

from __future__ import annotations

from typing import Literal

import msgspec

from rookery.config.spec import AppSpec
from rookery.control.messages import ExitInfo

VERSION = 1
Desired = Literal["running", "stopped"]
Pending = Literal["", "restart", "delete"]


class SavedInstance(msgspec.Struct, kw_only=True):
    """One instance. started_at: wall time; pid and start_time are None while there is no process.

    pending: what was begun with it; whoever reads this goes on with it.
    """

    id: int
    app: str
    index: int
    generation: int = 0
    desired: Desired = "running"
    pending: Pending = ""
    pid: int | None = None
    start_time: int | None = None
    started_at: float | None = None
    restarts: int = 0
    failures: int = 0
    state: str = "stopped"
    ready: bool = False
    reason: str = ""
    last_exit: ExitInfo | None = None


class SavedApp(msgspec.Struct, kw_only=True):
    """One app with the environment of the command that started it.

    held: stopped together with the manager (``rook kill``, a reboot): wanted, but not to be started unasked.
    """

    name: str
    spec: AppSpec
    base_env: dict[str, str]
    desired: Desired
    created: float
    held: bool = False


class SavedState(msgspec.Struct, kw_only=True):
    """The whole file."""

    scope: str
    boot_id: str
    epoch: int
    next_id: int
    saved_at: float
    version: int = VERSION
    leaving: tuple[int, int] | None = None
    """The keeper (pid, start time) that is to end with all apps: a new manager of the same keeper goes on with it."""
    apps: list[SavedApp] = []
    instances: list[SavedInstance] = []
