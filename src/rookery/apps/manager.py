"""AppManager: all apps, and what can be asked of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec

from rookery import errors
from rookery.apps.accept import accept
from rookery.apps.app import App, Begun, Instance
from rookery.apps.settle import Asked, gather_outcomes
from rookery.apps.translate import restart_policy, spawn_spec, stop_plan
from rookery.config.selectors import Target, select
from rookery.lifecycle.state import State
from rookery.supervise.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from rookery._base.clock import Clock
    from rookery.config.spec import AppSpec
    from rookery.control.messages import ActionResult, ActRequest, StartRequest, Wait
    from rookery.control.service import Verb
    from rookery.process.protocols import Spawner
    from rookery.process.spec import SpawnSpec
    from rookery.supervise.plumbing import Plumbing
    from rookery.supervise.record import UnitEvent

    Work = Callable[[], Coroutine[object, object, list[Begun]]]


class Outfitter(Protocol):
    """Who gives instances their pipes."""

    def outfit(
        self,
        unit: str,
        make_spec: Callable[[], SpawnSpec],
        *,
        spec: Callable[[], AppSpec],
        paths: Callable[[], tuple[str, str]],
        on_words: Callable[[dict[str, str]], None],
    ) -> Plumbing:
        """The plumbing of one instance; on_words: called with what it says on its notify socket."""
        ...


class AppManager:
    """Runs what is declared. One event loop.

    save: writes the state down and returns when it is on disk; changed: the state should be written soon;
    log_folder: where the logs are.
    """

    def __init__(
        self,
        spawner: Spawner,
        outfitter: Outfitter,
        *,
        scope: str,
        clock: Clock,
        log_folder: str,
        changed: Callable[[], None],
        save: Callable[[], Awaitable[None]],
    ) -> None:
        self.apps: dict[str, App] = {}
        self.next_id = 0
        self.is_leaving = False
        """Whether everything is on its way down for good; the next manager of the same keeper goes on with that."""
        self.clock = clock
        self.log_folder = log_folder
        self._spawner = spawner
        self._outfitter = outfitter
        self._scope = scope
        self._changed = changed
        self._save = save

    # -- looking ----------------------------------------------------------------------------------------------------

    def instances(self, selectors: list[str] | tuple[str, ...] = ()) -> list[Instance]:
        """The matching instances by id, all for no selector. Raises NothingMatched."""
        found = sorted((one for app in self.apps.values() for one in app.instances), key=lambda one: one.id)
        return select(selectors, found, _target) if selectors else found

    # -- building ---------------------------------------------------------------------------------------------------

    def new_app(self, spec: AppSpec, base_env: dict[str, str], created: float) -> App:
        """Take an app in, without instances."""
        app = self.apps[spec.name] = App(spec, base_env, created)
        return app

    def new_instance(self, app: App, index: int, id: int | None = None) -> Instance:  # noqa: A002
        """Add a slot to an app; id: a known one, default the next."""
        if id is None:
            id, self.next_id = self.next_id, self.next_id + 1  # noqa: A001
        key = str(id)
        plumbing = self._outfitter.outfit(
            key,
            lambda: spawn_spec(app.spec, app.base_env, index),
            spec=lambda: app.spec,
            paths=lambda: instance.log_paths(self.log_folder),
            on_words=lambda words: self._heard(instance, words),
        )
        unit = Unit(
            key,
            plumbing,
            self._spawner,
            scope=self._scope,
            policy=restart_policy(app.spec),
            stop_plan=stop_plan(app.spec),
            clock=self.clock,
            on_event=self._on_event,
            awaits_ready=lambda: app.spec.readiness.notify,
        )
        instance = Instance(id, app, index, unit, plumbing)
        app.instances.append(instance)
        app.instances.sort(key=lambda one: one.index)
        return instance

    def _heard(self, instance: Instance, words: dict[str, str]) -> None:
        instance.hear(words)
        self._changed()

    def _on_event(self, _: UnitEvent) -> None:
        self._changed()

    # -- doing ------------------------------------------------------------------------------------------------------

    async def apply(self, request: StartRequest) -> ActionResult:
        """See Service."""
        environment = tuple(sorted(request.base_env.items()))
        work = []
        for spec in accept(request.specs):
            app = self.apps.get(spec.name) or self.new_app(spec, request.base_env, self.clock.wall())
            run = app.operations.do(("apply", spec, environment), self._bring_up(app, spec, request.base_env))
            work.append(Asked(run, app, None))
        return await self._outcomes(work, request.wait, request.timeout)

    def _bring_up(self, app: App, spec: AppSpec, base_env: dict[str, str]) -> Work:
        async def work() -> list[Begun]:
            present = self.apps.setdefault(spec.name, app)  # a delete may have been in the queue before us
            if present is not app:  # and somebody has started it anew since
                kind = ("apply", spec, tuple(sorted(base_env.items())))
                return await present.operations.do(kind, self._bring_up(present, spec, base_env))
            is_changed = msgspec.structs.replace(app.spec, instances=spec.instances, origin=spec.origin) != spec
            app.describe(spec, base_env)
            app.held = False
            surplus = [one for one in app.instances if one.index >= spec.instances]
            begun = await asyncio.gather(*(self._delete(one) for one in surplus))
            have = {one.index for one in app.instances}
            for index in range(spec.instances):
                if index not in have:
                    self.new_instance(app, index)
            for one in app.instances:
                one.desired = "running"
            # On disk before anything runs: a manager that dies in between is followed by one that knows what it meant.
            self._changed()
            await self._save()
            act = self._restart if is_changed else self._start
            return begun + await asyncio.gather(*(act(one) for one in app.instances))

        return work

    async def act(self, verb: Verb, request: ActRequest) -> ActionResult:
        """See Service."""
        if not request.selectors:
            raise errors.UsageError(f"{verb} what?", hint="name an app, or say all")
        by_app: dict[App, list[Instance]] = {}
        for instance in self.instances(request.selectors):
            by_app.setdefault(instance.app, []).append(instance)
        work = []
        for app, chosen in by_app.items():
            kind = (verb, tuple(one.id for one in chosen))
            work.append(Asked(app.operations.do(kind, self._each(verb, app, chosen)), app, chosen))
        return await self._outcomes(work, request.wait, request.timeout)

    def _each(self, verb: Verb, app: App, chosen: list[Instance]) -> Work:
        do = {"start": self._start, "stop": self._stop, "restart": self._restart, "delete": self._delete}[verb]

        async def work() -> list[Begun]:
            present = [one for one in chosen if one in app.instances]  # a delete may have been in the queue before us
            if verb in ("start", "restart"):
                if app.held and present:  # the others stay down, also for the next manager
                    app.held = False
                    for one in app.instances:
                        one.desired = "stopped"
                for one in present:
                    one.desired = "running"
            elif verb == "stop":
                for one in present:
                    one.desired = "stopped"
            self._changed()
            gone = [
                Begun(one, "deleted" if verb in ("stop", "delete") else "gone") for one in chosen if one not in present
            ]
            return gone + await asyncio.gather(*(do(one) for one in present))

        return work

    # Whoever settles compares the count of crashes from after the operation: one before it is the reason for it.

    async def _start(self, one: Instance) -> Begun:
        did = "started" if await one.unit.start() else "unchanged"
        return Begun(one, did, one.unit.crashes)

    async def _restart(self, one: Instance) -> Begun:
        was_up = one.unit.state in (State.RUNNING, State.BACKOFF)
        await one.unit.restart()
        return Begun(one, "restarted" if was_up else "started", one.unit.crashes)

    async def _stop(self, one: Instance) -> Begun:
        was_stopped = one.unit.state is State.STOPPED
        await one.unit.stop()
        return Begun(one, "already stopped" if was_stopped else "stopped")

    async def _delete(self, one: Instance) -> Begun:
        await one.unit.stop()
        await one.unit.close()
        one.app.instances.remove(one)
        if not one.app.instances and self.apps.get(one.app.spec.name) is one.app:
            del self.apps[one.app.spec.name]
        self._changed()
        return Begun(one, "deleted")

    async def stop_all(self) -> ActionResult:
        """Stop everything and remember that it was wanted (``rook kill``).

        From now on is_leaving; whoever finds that something could not be stopped takes it back with stay().
        """
        self.is_leaving = True
        for app in self.apps.values():
            app.held = any(one.desired == "running" for one in app.instances)
        self._changed()
        await self._save()
        # Also apps without instances: they may be about to get some.
        work = [
            Asked(app.operations.do("kill", self._all_down(app)), app, None) for app in reversed(self.apps.values())
        ]
        limit = max([app.spec.graceful_timeout for app in self.apps.values()], default=0.0) + 30.0
        return await self._outcomes(work, "started", limit)

    async def _outcomes(self, work: list[Asked], wait: Wait, timeout: float) -> ActionResult:  # noqa: ASYNC109
        def log_of(one: Instance) -> str:
            return one.log_paths(self.log_folder)[1]

        return await gather_outcomes(work, wait, timeout, self._save, log_of)

    def _all_down(self, app: App) -> Work:
        async def work() -> list[Begun]:
            app.held = any(one.desired == "running" for one in app.instances)
            return await asyncio.gather(*(self._stop(one) for one in app.instances))

        return work

    def stay(self) -> None:
        """Take stop_all() back: what was stopped stays so, the rest is looked after."""
        self.is_leaving = False
        self._changed()

    async def close(self) -> None:
        """Let go of everything without touching a process; the next manager goes on."""
        for one in self.instances():
            await one.unit.close()


def _target(instance: Instance) -> Target:
    spec = instance.app.spec
    return Target(instance.id, spec.name, spec.namespace, instance.index)
