"""AppManager: all apps, and what can be asked of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec

from rookery import errors
from rookery.apps.accept import accept
from rookery.apps.app import App, Begun, Instance
from rookery.apps.events import Events
from rookery.apps.log_clash import check_log_files
from rookery.apps.scaling import instances_wanted, resized
from rookery.apps.settle import Asked, gather_outcomes, note
from rookery.apps.story import tell
from rookery.apps.translate import restart_policy, spawn_spec, stop_plan
from rookery.config.selectors import Target, select
from rookery.control.messages import EventQuery
from rookery.lifecycle.hints import Streak
from rookery.lifecycle.state import State
from rookery.supervise.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from rookery._base.clock import Clock
    from rookery.config.spec import AppSpec
    from rookery.control.messages import ActionResult, ActRequest, ScaleRequest, StartRequest, Wait
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
        index: int,
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
        self.events = Events(clock, self.apps.__contains__)
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

    def check_known(self, query: EventQuery) -> None:
        """Raise NothingMatched for a selector of events that means no instance and no event that is kept."""
        for selector in query.selectors:
            if not self.events.kept(EventQuery(selectors=(selector,))):
                self.instances([selector])

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
            index=index,
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
            on_event=lambda event: self._on_event(instance, event),
            awaits_ready=lambda: app.spec.readiness.notify,
        )
        instance = Instance(id, app, index, unit, plumbing)
        app.instances.append(instance)
        app.instances.sort(key=lambda one: one.index)
        return instance

    def reset(self, one: Instance) -> None:
        """Set what is counted of an instance to zero."""
        one.unit.forget()
        one.streak = Streak()
        self.events.add("reset", one, reason="its counters were set to zero")
        self._changed()

    def log_event(self, told: Mapping[str, object]) -> None:
        """Something that the collector says unasked: log_full or log_dropped, with a path."""
        path = str(told.get("path", ""))
        apps = (one for app in self.apps.values() for one in app.instances)
        owner = next((one for one in apps if path in one.log_paths(self.log_folder)), None)
        lines = told.get("lines", 0)
        self.events.add(
            str(told.get("event", "log")),
            owner,
            path=path,
            lines=lines if isinstance(lines, int) else 0,
            reason=str(told.get("why", "")),
        )

    def _heard(self, instance: Instance, words: dict[str, str]) -> None:
        if instance.hear(words):
            self.events.add("ready", instance, pid=instance.unit.pid, reason="it has said so")
        self._changed()

    def _on_event(self, instance: Instance, event: UnitEvent) -> None:
        tell(self.events, instance, event)
        self._changed()

    # -- doing ------------------------------------------------------------------------------------------------------

    async def apply(self, request: StartRequest) -> ActionResult:
        """See Service."""
        environment = tuple(sorted(request.base_env.items()))
        work = []
        for spec in accept(request.specs, [app.spec for app in self.apps.values()]):
            app = self.apps.get(spec.name) or self.new_app(spec, request.base_env, self.clock.wall())
            run = app.operations.do(("apply", spec, environment), self._bring_up(app, spec, request.base_env))
            work.append(Asked(run, app, None))
        left = self._left_of(request)
        if request.prune:
            for name in left:
                app = self.apps[name]
                run = app.operations.do("prune", self._each("delete", app, list(app.instances)))
                work.append(Asked(run, app, list(app.instances)))
        result = await self._outcomes(work, request.wait, request.timeout)
        result.left = [] if request.prune else left
        return result

    def _left_of(self, request: StartRequest) -> list[str]:
        """Apps of the request's files which it does not describe."""
        described = {spec.name for spec in accept(request.specs)}
        return sorted(
            name for name, app in self.apps.items() if app.spec.origin in request.files and name not in described
        )

    def _bring_up(self, app: App, spec: AppSpec, base_env: dict[str, str]) -> Work:
        async def work() -> list[Begun]:
            present = self.apps.setdefault(spec.name, app)  # a delete may have been in the queue before us
            if present is not app:  # and somebody has started it anew since
                kind = ("apply", spec, tuple(sorted(base_env.items())))
                return await present.operations.do(kind, self._bring_up(present, spec, base_env))
            is_changed = msgspec.structs.replace(app.spec, instances=spec.instances, origin=spec.origin) != spec
            app.describe(spec, base_env)
            app.held = False
            surplus, _ = self._resize(app, spec.instances)
            staying = [one for one in app.instances if one not in surplus]
            for one in staying:
                one.want("running", "restart" if is_changed else "")
            begun = await self._dismiss(surplus)  # on disk before anything runs
            act = self._restart if is_changed else self._start
            return begun + await asyncio.gather(*(act(one) for one in staying))

        return work

    async def act(self, verb: Verb, request: ActRequest) -> ActionResult:
        """See Service."""
        if not request.selectors:
            raise errors.UsageError(f"{verb} what?", hint="name an app, or say all")
        by_app: dict[App, list[Instance]] = {}
        for instance in self.instances(request.selectors):
            by_app.setdefault(instance.app, []).append(instance)
        work = []
        environment = None if request.base_env is None else tuple(sorted(request.base_env.items()))
        for app, chosen in by_app.items():
            kind = (verb, tuple(one.id for one in chosen), environment)
            run = app.operations.do(kind, self._each(verb, app, chosen, request.base_env))
            work.append(Asked(run, app, chosen))
        return await self._outcomes(work, request.wait, request.timeout)

    def _each(self, verb: Verb, app: App, chosen: list[Instance], base_env: dict[str, str] | None = None) -> Work:
        do = {"start": self._start, "stop": self._stop, "restart": self._restart}.get(verb)

        async def work() -> list[Begun]:
            present = [one for one in chosen if one in app.instances]  # a delete may have been in the queue before us
            if verb in ("start", "restart"):
                if base_env is not None:
                    app.base_env = base_env
                if app.held and present:  # the others stay down, also for the next manager
                    app.held = False
                    for one in app.instances:
                        one.want("stopped")
                for one in present:
                    one.want("running", "restart" if verb == "restart" and base_env is not None else "")
            elif verb == "stop":
                for one in present:
                    one.want("stopped")
            self._changed()
            gone = [
                Begun(one, "deleted" if verb in ("stop", "delete") else "gone") for one in chosen if one not in present
            ]
            if do is None:
                return gone + await self._dismiss(present)
            return gone + await asyncio.gather(*(do(one) for one in present))

        return work

    # Whoever settles compares the count of crashes from after the operation: one before it is the reason for it.

    async def _start(self, one: Instance) -> Begun:
        if one.unit.state is not State.RUNNING:
            one.streak = Streak()
        did = "started" if await one.unit.start() else "unchanged"
        return Begun(one, did, one.unit.crashes)

    async def _restart(self, one: Instance) -> Begun:
        was_up = one.unit.state in (State.RUNNING, State.BACKOFF)
        one.streak = Streak()
        await one.unit.restart()
        one.pending = ""
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
        self.events.add("delete", one, reason="deleted")
        self._changed()
        return Begun(one, "deleted")

    async def _dismiss(self, chosen: Sequence[Instance]) -> list[Begun]:
        """Write down what is meant, then delete these: a manager that dies in between is followed by one that knows."""
        for one in chosen:
            one.want("stopped", "delete")
        self._changed()
        await self._save()
        return await asyncio.gather(*(self._delete(one) for one in chosen))

    def _resize(self, app: App, count: int) -> tuple[list[Instance], list[Instance]]:
        """Have so many slots: which go (they are there yet), and which are new."""
        indexes, missing = resized([one.index for one in app.instances], count)
        surplus = [one for one in app.instances if one.index in indexes]
        return surplus, [self.new_instance(app, index) for index in missing]

    def go_on(self, app: App) -> None:
        """Do what was begun with instances of an app when the manager before died."""
        begun = [one for one in app.instances if one.pending == "delete" or (one.pending and not app.held)]
        if not begun:
            return

        async def work() -> list[Begun]:
            do = {"delete": self._delete, "restart": self._restart}
            return await asyncio.gather(*(do[one.pending](one) for one in begun if one.pending))

        asyncio.ensure_future(app.operations.do(object(), work)).add_done_callback(note)

    async def scale(self, request: ScaleRequest) -> ActionResult:
        """See Service."""
        app = self.apps.get(request.name)
        if app is None:
            self.instances([request.name])  # says what there is, where nothing matches
            raise errors.UsageError(f"{request.name!r} is no app's name", hint="one app at a time: rook scale NAME N")
        wanted = instances_wanted(request.instances)
        # Never shared with another request: twice +1 is two more.
        run = app.operations.do(object(), self._scale(app, wanted))
        return await self._outcomes([Asked(run, app, None)], request.wait, request.timeout)

    def _scale(self, app: App, wanted: Callable[[int], int]) -> Work:
        async def work() -> list[Begun]:
            if self.apps.get(app.spec.name) is not app:  # a delete was in the queue before us
                raise errors.NothingMatched(f"{app.spec.name!r} was deleted by another request meanwhile")
            before, count = len(app.instances), wanted(len(app.instances))
            larger = msgspec.structs.replace(app.spec, instances=count)
            check_log_files([larger], [other.spec for other in self.apps.values()])
            app.describe(larger, app.base_env)
            is_up = not app.held and any(one.desired == "running" for one in app.instances)
            surplus, new = self._resize(app, count)
            for one in new:
                one.want("running" if is_up else "stopped")
            name, namespace = app.spec.name, app.spec.namespace
            self.events.add(
                "scale", name=name, namespace=namespace, before=str(before), after=str(count), reason="asked to scale"
            )
            begun = await self._dismiss(surplus)
            if not is_up:
                return [*begun, *(Begun(one, "added") for one in new)]
            return [*begun, *await asyncio.gather(*(self._start(one) for one in new))]

        return work

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
