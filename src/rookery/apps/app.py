"""An app and its instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rookery.apps.queue import Operations
from rookery.apps.state import Desired, Pending, SavedApp, SavedInstance
from rookery.apps.translate import exit_info, restart_policy, stop_plan
from rookery.control.messages import InstanceRow, Outcome
from rookery.lifecycle.hints import Streak
from rookery.lifecycle.state import State
from rookery.logs.names import log_paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery.config.spec import AppSpec
    from rookery.control.messages import ExitInfo
    from rookery.metrics.sampler import Usage
    from rookery.supervise.plumbing import Plumbing
    from rookery.supervise.unit import Unit


_STATUS_LENGTH = 500


class Instance:
    """One running copy of an app (to be): a unit with an index. desired is what a person asked for last."""

    def __init__(self, id: int, app: App, index: int, unit: Unit, plumbing: Plumbing) -> None:  # noqa: A002
        self.id = id
        self.app = app
        self.index = index
        self.unit = unit
        self.desired: Desired = "stopped"
        self.pending: Pending = ""
        """What is being done with it and has to be done, also by the next manager."""
        self.usage: Usage | None = None
        self.status = ""
        """What it says of itself (STATUS= on its notify socket)."""
        self.streak = Streak()
        """Its last exits that were alike."""
        self.plumbing = plumbing

    def want(self, desired: Desired, pending: Pending = "") -> None:
        """A person wants it to be so."""
        self.desired = desired
        self.pending = pending

    def hear(self, words: Mapping[str, str]) -> bool:
        """It has said something on its notify socket (sd_notify's words); whether that made it ready."""
        if "STATUS" in words:
            self.status = words["STATUS"][:_STATUS_LENGTH]
        if words.get("READY") != "1" or self.unit.is_ready:
            return False
        self.unit.mark_ready()
        return self.unit.is_ready

    @property
    def last_exit(self) -> ExitInfo | None:
        """How its last copy ended."""
        return exit_info(self.unit.last_exit, max(1, self.streak.count))

    def row(self) -> InstanceRow:
        """As the list shows it."""
        unit = self.unit
        usage = self.usage if unit.pid is not None else None
        return InstanceRow(
            id=self.id,
            name=self.app.spec.name,
            namespace=self.app.spec.namespace,
            index=self.index,
            pid=unit.pid,
            state=str(unit.state),
            ready=unit.is_ready,
            restarts=unit.restarts,
            uptime=None if unit.uptime is None else round(unit.uptime, 3),
            cpu=None if usage is None or usage.cpu is None else round(usage.cpu, 1),
            memory=None if usage is None else usage.memory,
            exit=self.last_exit,
            since=unit.since,
        )

    def saved(self, now: float) -> SavedInstance:
        """As the state file keeps it."""
        unit = self.unit
        return SavedInstance(
            id=self.id,
            app=self.app.spec.name,
            index=self.index,
            generation=unit.generation,
            desired=self.desired,
            pending=self.pending,
            pid=unit.pid,
            start_time=unit.start_time,
            started_at=None if unit.uptime is None else now - unit.uptime,
            restarts=unit.restarts,
            failures=unit.failures,
            state=str(unit.state),
            ready=unit.is_ready,
            reason=unit.reason,
            last_exit=self.last_exit,
        )

    def outcome(self, did: str, *, ok: bool, log: str = "") -> Outcome:
        """What became of it in a request."""
        unit = self.unit
        return Outcome(
            name=self.app.spec.name,
            index=self.index,
            id=self.id,
            ok=ok,
            did=did,
            state=str(unit.state),
            pid=unit.pid,
            reason="" if ok and unit.state is State.RUNNING else unit.reason,
            exit=self.last_exit if not ok or unit.state is not State.RUNNING else None,
            log=log,
        )

    def log_paths(self, folder: str) -> tuple[str, str]:
        """Its out and err log."""
        return log_paths(folder, self.app.spec.name, self.index, self.app.spec.logs.merge)


class Begun(NamedTuple):
    """An operation on one instance that has been carried out and may have to settle.

    did: the outcome's word; crashes: the unit's count right after it.
    """

    instance: Instance
    did: str
    crashes: int = 0


class App:
    """A declared program and its instances, with the one queue of operations on them."""

    def __init__(self, spec: AppSpec, base_env: dict[str, str], created: float) -> None:
        self.spec = spec
        self.base_env = base_env
        self.created = created
        self.held = False
        self.instances: list[Instance] = []
        self.operations: Operations[list[Begun]] = Operations()

    def describe(self, spec: AppSpec, base_env: dict[str, str]) -> None:
        """Be this from now on; what runs keeps its process until it is restarted."""
        self.spec = spec
        self.base_env = base_env
        for instance in self.instances:
            instance.unit.policy = restart_policy(spec)
            instance.unit.stop_plan = stop_plan(spec)

    def saved(self) -> SavedApp:
        """As the state file keeps it."""
        wanted = any(instance.desired == "running" for instance in self.instances)
        return SavedApp(
            name=self.spec.name,
            spec=self.spec,
            base_env=self.base_env,
            desired="running" if wanted else "stopped",
            created=self.created,
            held=self.held,
        )
