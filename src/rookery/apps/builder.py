"""Building apps, instances and copies, and hearing what happens to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rookery import errors
from rookery.apps.app import App, Instance
from rookery.apps.copies import Copy
from rookery.apps.door import Door
from rookery.apps.outfit import Seat, Wants
from rookery.apps.passing import KeptPassing, Stand, key_of
from rookery.apps.story import tell
from rookery.apps.translate import restart_policy, spawn_spec, stop_plan
from rookery.cluster.sockets import address_of
from rookery.lifecycle.state import State
from rookery.supervise.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rookery._base.clock import Clock
    from rookery.apps.edition import Edition
    from rookery.apps.events import Events
    from rookery.apps.outfit import DescriptorKeep, Outfitter
    from rookery.cluster.events import ClusterEvent
    from rookery.process.protocols import Spawner
    from rookery.supervise.record import UnitEvent


class _NoPlace(errors.SpawnError):
    """A worker was not started: its app cannot listen where it is to."""

    def __init__(self, failed: errors.BindFailed, argv: Sequence[str]) -> None:
        super().__init__(failed.why, argv=argv, hint=failed.hint)
        self.what = failed.what


class Around(NamedTuple):
    """What all apps stand on. log_folder: where the logs are; changed: the state should be written soon."""

    spawner: Spawner
    outfitter: Outfitter
    keep: DescriptorKeep
    scope: str
    clock: Clock
    log_folder: str
    changed: Callable[[], None]


class Builder:
    """recycle: replaces an instance that has reached a limit."""

    def __init__(self, around: Around, events: Events, recycle: Callable[[App, int], Awaitable[object]]) -> None:
        self._around = around
        self._events = events
        self._recycle = recycle

    def app(self, edition: Edition, created: float) -> App:
        """An app without instances."""
        app = App(edition, created, Door(edition.spec.name, self._around.keep))
        app.tend(self._around.clock, lambda event: self._noticed(app, event), lambda slot: self._recycle(app, slot))
        return app

    def instance(self, app: App, index: int, id: int) -> Instance:  # noqa: A002
        """One more instance of an app."""
        instance = Instance(id, app, index)
        instance.copy = self.copy(instance, app.edition)
        app.instances.append(instance)
        app.instances.sort(key=lambda one: one.index)
        return instance

    def copy(self, instance: Instance, edition: Edition) -> Copy:
        """One more copy of an instance, which does not run."""
        around = self._around
        copy = Copy(instance, edition, around.clock)
        key = str(instance.id)
        plumbing = around.outfitter.outfit(
            Wants(
                key,
                instance.index,
                spec=lambda: copy.edition.spec,
                make_spec=lambda: spawn_spec(copy.edition.spec, copy.edition.base_env, instance.index),
                paths=lambda: instance.log_paths(around.log_folder),
                on_words=lambda words: self._heard(copy, words),
                seat=lambda: self._seat(copy),
                on_end=copy.gone,
            )
        )
        unit = Unit(
            key,
            plumbing,
            around.spawner,
            scope=around.scope,
            policy=restart_policy(edition.spec),
            stop_plan=stop_plan(edition.spec),
            clock=around.clock,
            on_event=lambda event: self._on_event(copy, event),
            awaits_ready=lambda: copy.awaits_ready,
            next_generation=instance.next_generation,
        )
        copy.set_up(unit, plumbing, self._is_up)
        copy.rate = lambda: instance.app.watch.rate(copy)
        return copy

    async def _seat(self, copy: Copy) -> Seat:
        """See Wants."""
        edition, slot, app = copy.edition, copy.slot, copy.instance.app
        spec = spawn_spec(edition.spec, edition.base_env, slot)
        try:
            listeners = await app.door.open(edition, slot)
            passing = await self._passing(app, edition) if edition.passes else None
        except errors.BindFailed as error:
            raise _NoPlace(error, spec.argv) from None
        except errors.ClusterError as error:
            raise errors.SpawnError(str(error), argv=spec.argv) from None
        app.workers += 1
        copy.worker = app.workers
        return Seat(
            edition.recipe(spec.env or {}),
            slot,
            app.workers,
            app.door.seat(edition, slot),
            tuple(address_of(sock) for sock in listeners.of(slot)),
            listeners.port_of(slot),
            None
            if passing is None
            else lambda page: passing.open_kept(slot, copy.worker, page, (copy.unit.key, copy.unit.generation)),
        )

    async def _passing(self, app: App, edition: Edition) -> KeptPassing:
        """Who accepts for an edition's workers; it runs. Raises ClusterError, SpawnError."""
        async with app.door.accepting:
            if edition.passing is None or edition.passing.is_ending:
                if edition.passing is not None:
                    await edition.passing.let_go()
                passing = self.passing(app, edition)
                await passing.start()
                edition.passing = passing
            return edition.passing

    def passing(self, app: App, edition: Edition) -> KeptPassing:
        """Who is to accept for an edition's workers."""
        assert edition.listeners is not None
        around = self._around
        env = spawn_spec(edition.spec, edition.base_env, 0).env or {}
        stand = Stand(
            key_of(edition.spec.name, edition.number),
            around.clock,
            around.spawner,
            around.scope,
            around.keep,
            edition.listeners,
            app.door.seat(edition, 0),
            env,
        )
        return KeptPassing(stand, edition.settings)

    def _heard(self, copy: Copy, words: dict[str, str]) -> None:
        if copy.instance.hear(copy, words):
            self._events.add("ready", copy.instance, pid=copy.unit.pid, reason="it has said so")
        self._around.changed()

    def _is_up(self, copy: Copy) -> None:
        self._events.add("ready", copy.instance, pid=copy.unit.pid, reason="it can serve")
        self._around.changed()

    def _on_event(self, copy: Copy, event: UnitEvent) -> None:
        tell(self._events, copy, event)
        copy.changed(event)
        if event.after is State.RUNNING and copy.edition.is_clustered:
            copy.instance.app.begin_watch()
        self._around.changed()

    def _noticed(self, app: App, event: ClusterEvent) -> None:
        one = next((one for one in app.instances if one.index == event.slot), None)
        self._events.add(event.kind, one, pid=event.pid, reason=event.reason)
