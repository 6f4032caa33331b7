"""What is written down, version 1: enough for the next manager to go on."""

from __future__ import annotations

from typing import Literal

import msgspec

from rookery.config.spec import AppSpec
from rookery.control.messages import ExitInfo

VERSION = 1
Desired = Literal["running", "stopped"]
Pending = Literal["", "restart", "reload", "delete"]


class SavedCopy(msgspec.Struct, kw_only=True):
    """A process of an instance besides the one that has its place: the next one of a reload, or an earlier one."""

    generation: int
    pid: int | None = None
    start_time: int | None = None
    started_at: float | None = None
    ready: bool = False


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
    beside: list[SavedCopy] = []


class SavedEdition(msgspec.Struct, kw_only=True):
    """What an app is to become."""

    spec: AppSpec
    base_env: dict[str, str]
    number: int = 0


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
    workers: int = 0
    """How many workers of a clustered app there were; the next one's id is above that."""
    edition: int = 0
    coming: SavedEdition | None = None
    """What a reload that is under way makes of it; instances whose ``pending`` is not "reload" are that already."""


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
