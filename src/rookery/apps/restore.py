"""Going on where the manager before left off."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from rookery.apps.translate import last_exit
from rookery.lifecycle.state import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery.apps.app import App, Instance
    from rookery.apps.manager import AppManager
    from rookery.apps.state import SavedInstance, SavedState
    from rookery.process.protocols import Handle

_log = logging.getLogger(__name__)


class Survivor(Protocol):
    """A copy that was started before and runs, or has ended since. started_at: wall time."""

    @property
    def generation(self) -> int:
        """Which copy of its unit."""
        ...

    @property
    def started_at(self) -> float:
        """Wall time."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        ...

    def handle(self) -> Handle:
        """The handle; its wait() returns at once where it has ended."""
        ...

    async def recover(self) -> None:
        """Take its pipes over."""
        ...


async def restore(
    manager: AppManager, state: SavedState, survivors: Mapping[str, Survivor], *, is_same_boot: bool
) -> None:
    """Build all apps from the state and adopt what still runs.

    survivors: {unit key: the newest copy of it that is known}. What is wanted, neither held nor running, and of this
    boot is started again; after a reboot everything shows as stopped.
    """
    manager.next_id = max([state.next_id, *(one.id + 1 for one in state.instances)])
    by_app: dict[str, list[SavedInstance]] = {}
    for saved in state.instances:
        by_app.setdefault(saved.app, []).append(saved)
    for app_saved in state.apps:
        app = manager.new_app(app_saved.spec, app_saved.base_env, app_saved.created)
        app.held = app_saved.held or not is_same_boot
        for saved in by_app.get(app_saved.name, []):
            instance = manager.new_instance(app, saved.index, saved.id)
            instance.desired = saved.desired
            unit = instance.unit
            unit.generation, unit.restarts = saved.generation, saved.restarts
            unit.last_exit = last_exit(saved.last_exit)
            unit.recall(_at_rest(saved, app), saved.reason, saved.failures)
            await _resume(manager, instance, survivors.get(unit.key))


async def _resume(manager: AppManager, instance: Instance, survivor: Survivor | None) -> None:
    unit = instance.unit
    is_wanted = instance.desired == "running" and not instance.app.held
    if survivor is not None and (is_wanted or not survivor.has_ended):
        await survivor.recover()
        uptime = max(0.0, manager.clock.wall() - survivor.started_at)
        unit.adopt(survivor.handle(), survivor.generation, uptime=uptime)
        if not is_wanted:  # the manager before was about to stop it
            asyncio.ensure_future(_stop(instance))  # noqa: RUF006 - the unit keeps the operation
    elif survivor is not None:
        unit.generation = max(unit.generation, survivor.generation)
        survivor.handle().close()
    elif is_wanted and unit.state is State.STOPPED:
        unit.resume_backoff("it is to run and does not; nobody saw how it ended")


def _at_rest(saved: SavedInstance, app: App) -> State:
    """The state of rest it was in; what was up or about to be is looked for elsewhere."""
    if app.held or saved.pid is not None:
        return State.STOPPED
    return {"exited": State.EXITED, "fatal": State.FATAL}.get(saved.state, State.STOPPED)


async def _stop(instance: Instance) -> None:
    try:
        await instance.unit.stop()
    except Exception:
        _log.exception("%s could not be stopped", instance.app.spec.name)
