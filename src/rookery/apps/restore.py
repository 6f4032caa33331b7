"""Going on where the manager before left off."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from rookery.apps.edition import Edition
from rookery.apps.translate import last_exit
from rookery.errors import RookeryError
from rookery.lifecycle.hints import Streak
from rookery.lifecycle.state import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rookery.apps.app import App, Instance
    from rookery.apps.manager import AppManager
    from rookery.apps.state import SavedInstance, SavedState
    from rookery.process.protocols import Handle
    from rookery.supervise.plumbing import Plumbing

_UNSEEN = "ended, nobody saw how"
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

    async def recover(self, plumbing: Plumbing) -> None:
        """Have its plumbing take its pipes over."""
        ...


async def restore(
    manager: AppManager,
    state: SavedState,
    survivors: Mapping[str, Survivor],
    used: Mapping[str, int],
    *,
    beside: Mapping[str, Sequence[Survivor]] | None = None,
    stored: Sequence[str] = (),
    acceptors: Mapping[str, Survivor] | None = None,
    is_same_boot: bool,
) -> None:
    """Build all apps from the state and adopt what still runs.

    survivors: {unit key: the copy that has its place}; beside: {unit key: other copies that run}; used: {unit key: the
    highest generation that has left a trace}; stored: names of descriptors that are kept; acceptors: {unit key: who
    accepts for workers}. What is wanted, neither held nor running, and of this boot is started again; after a reboot
    everything shows as stopped.
    """
    taken = [
        state.next_id,
        *(one.id + 1 for one in state.instances),
        *(int(key) + 1 for key in used if key.isdecimal()),
    ]
    manager.next_id = max(taken)
    by_app: dict[str, list[SavedInstance]] = {}
    for saved in state.instances:
        by_app.setdefault(saved.app, []).append(saved)
    for app_saved in state.apps:
        app = manager.new_app(app_saved.spec, app_saved.base_env, app_saved.created, app_saved.edition)
        app.held = app_saved.held or not is_same_boot
        app.workers = app_saved.workers + len(by_app.get(app_saved.name, []))  # some may not have been written down
        if app_saved.coming is not None and is_same_boot:
            app.coming = Edition(app_saved.coming.spec, app_saved.coming.base_env, app_saved.coming.number)
            app.editions = max(app.editions, app.coming.number)
        for saved in by_app.get(app_saved.name, []):
            instance = manager.new_instance(app, saved.index, saved.id)
            instance.want(saved.desired, saved.pending)
            unit = instance.unit
            unit.generation = max(saved.generation, used.get(unit.key, 0))
            unit.restarts = saved.restarts
            unit.last_exit = last_exit(saved.last_exit)
            if unit.last_exit is not None and saved.last_exit is not None:
                status = unit.last_exit.status
                instance.streak = Streak(status.code, status.signal, saved.last_exit.repeats)
            if app.coming is not None and saved.pending != "reload":
                instance.copy.describe(app.coming)
            await _resume(manager, instance, saved, survivors.get(unit.key))
            for one in sorted((beside or {}).get(unit.key, ()), key=lambda one: -one.generation):
                await _resume_beside(manager, instance, saved, one)
        await _recover_sockets(app, stored)
        await _recover_acceptors(manager, app, stored, acceptors or {}, used)
        manager.go_on(app)


async def _resume(manager: AppManager, instance: Instance, saved: SavedInstance, survivor: Survivor | None) -> None:
    unit = instance.unit
    is_wanted = instance.desired == "running" and not instance.app.held
    if survivor is not None and not _is_written_down(saved, survivor):
        unit.recall(State.STOPPED, "", saved.failures)
        await survivor.recover(instance.plumbing)
        uptime = max(0.0, manager.clock.wall() - survivor.started_at)
        is_ready = (saved.ready and survivor.generation == saved.generation) or instance.copy.has_said_ready
        if (
            not is_wanted
        ):  # the manager before was about to stop it; asked first, or one that has ended is started again
            asyncio.ensure_future(_stop(instance))  # noqa: RUF006 - the unit keeps the operation
        unit.adopt(survivor.handle(), survivor.generation, uptime=uptime, is_ready=is_ready)
        return
    if survivor is not None:
        survivor.handle().close()
    unit.recall(_at_rest(saved, instance.app), saved.reason, saved.failures)
    if not is_wanted or unit.state is not State.STOPPED:
        return
    if saved.pid is not None and instance.app.spec.restart == "never":
        unit.recall(State.EXITED, f"{_UNSEEN}; restart = never", saved.failures)
    else:
        unit.resume_backoff(_UNSEEN if saved.pid is not None else "it is to run and does not")


async def _resume_beside(manager: AppManager, instance: Instance, saved: SavedInstance, survivor: Survivor) -> None:
    """Adopt a copy besides the one that has the place: the next one of a reload, or one that finishes its work."""
    app = instance.app
    is_next = (
        instance.rising is None and instance.pending == "reload" and survivor.generation > instance.unit.generation
    )
    copy = manager.builder.copy(instance, (app.coming if is_next else None) or app.edition)
    await survivor.recover(copy.plumbing)
    uptime = max(0.0, manager.clock.wall() - survivor.started_at)
    was_ready = any(one.ready for one in saved.beside if one.generation == survivor.generation)
    if is_next:
        instance.rising = copy
    else:
        copy.retired = True
        instance.leaving.append(copy)
    is_ready = was_ready or copy.has_said_ready
    copy.unit.adopt(survivor.handle(), survivor.generation, uptime=uptime, is_ready=is_ready)
    if instance.rising is copy and is_ready and instance.copy.is_draining:  # it had the place, and nobody wrote it down
        instance.leaving.append(instance.copy)
        instance.copy, instance.rising, instance.pending = copy, None, ""


async def _recover_sockets(app: App, stored: Sequence[str]) -> None:
    slots = [one.index for one in app.instances]
    for edition in (app.edition, app.coming):
        if edition is None or not edition.is_clustered:
            continue
        has_workers = any(copy.unit.pid is not None and copy.edition is edition for copy in app)
        try:
            if not await app.door.recover(edition, stored, slots, has_workers=has_workers) and has_workers:
                # Workers have sockets that nobody else has any more. New ones come beside them.
                for one in app.instances:
                    one.pending = one.pending or ("reload" if one.desired == "running" else "")
        except RookeryError as error:
            _log.error("%s: its sockets are lost: %s", app.spec.name, error)
        app.door.steer(edition, len(slots))


async def _recover_acceptors(
    manager: AppManager,
    app: App,
    stored: Sequence[str],
    acceptors: Mapping[str, Survivor],
    used: Mapping[str, int],
) -> None:
    for edition in (app.edition, app.coming):
        if edition is None or not edition.passes or edition.listeners is None:
            continue
        passing = edition.passing = manager.builder.passing(app, edition)
        for copy in app:
            if copy.edition is edition and copy.plumbing.page is not None:
                is_ready = copy.unit.is_ready and not copy.retired
                identity = (copy.unit.key, copy.unit.generation)
                copy.worker = await passing.recover_worker(
                    copy.slot, copy.plumbing.page, identity, stored, is_ready=is_ready
                )
                app.workers = max(app.workers, copy.worker)
        unit = passing.unit
        unit.generation = used.get(unit.key, 0)
        survivor = acceptors.get(unit.key)
        if survivor is not None:
            uptime = max(0.0, manager.clock.wall() - survivor.started_at)
            await passing.recover(survivor.handle(), survivor.generation, uptime)
        else:
            unit.resume_backoff("it is to run and does not")


def _is_written_down(saved: SavedInstance, survivor: Survivor) -> bool:
    """Whether the state holds this copy's end already: its manager died before it could tell the keeper."""
    if not survivor.has_ended or survivor.generation > saved.generation:
        return False
    return survivor.generation < saved.generation or (saved.pid is None and saved.state != str(State.STARTING))


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
