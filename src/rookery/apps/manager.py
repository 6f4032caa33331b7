"""AppManager: all apps, and what can be asked of them."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import msgspec

from rookery import errors
from rookery.apps.accept import accept, check_size
from rookery.apps.acts import Acts
from rookery.apps.app import Begun
from rookery.apps.builder import Around, Builder
from rookery.apps.crew import end_beside
from rookery.apps.edition import Edition
from rookery.apps.events import Events
from rookery.apps.log_clash import check_log_files
from rookery.apps.reload import Reloader, check_covered
from rookery.apps.scaling import instances_wanted, resized, steer_when_ready
from rookery.apps.settle import Asked, gather_outcomes, note
from rookery.apps.translate import stop_plan
from rookery.cluster.sockets import LATE
from rookery.config.selectors import Target, select
from rookery.control.messages import EventQuery
from rookery.lifecycle.hints import Streak

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from rookery._base.clock import Clock
    from rookery.apps.app import App, Instance
    from rookery.apps.outfit import DescriptorKeep, Outfitter
    from rookery.config.spec import AppSpec
    from rookery.control.messages import ActionResult, ActRequest, ScaleRequest, StartRequest, Wait
    from rookery.control.service import Verb
    from rookery.process.protocols import Spawner

    Work = Callable[[], Coroutine[object, object, list[Begun]]]


class AppManager:
    """Runs what is declared. One event loop.

    save: writes the state down and returns when it is on disk; changed: the state should be written soon; keep: holds
    listening sockets beyond this process; log_folder: where the logs are.
    """

    def __init__(
        self,
        spawner: Spawner,
        outfitter: Outfitter,
        *,
        keep: DescriptorKeep,
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
        self._changed = changed
        self._save = save
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._acts = Acts(self.apps, self.events, changed, save)
        around = Around(spawner, outfitter, keep, scope, clock, log_folder, changed)
        self.builder = Builder(around, self.events, self._recycle)
        self._reloader = Reloader(
            self.events,
            make=self.builder.copy,
            changed=changed,
            save=save,
            is_closing=lambda: self._is_closing,
        )

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

    def new_app(self, spec: AppSpec, base_env: dict[str, str], created: float, edition: int = 0) -> App:
        """Take an app in, without instances. edition: its number."""
        app = self.apps[spec.name] = self.builder.app(Edition(spec, base_env, edition), created)
        return app

    def new_instance(self, app: App, index: int, id: int | None = None) -> Instance:  # noqa: A002
        """Add a slot to an app; id: a known one, default the next."""
        if id is None:
            id, self.next_id = self.next_id, self.next_id + 1  # noqa: A001
        return self.builder.instance(app, index, id)

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

    # -- doing ------------------------------------------------------------------------------------------------------

    async def apply(self, request: StartRequest) -> ActionResult:
        """See Service."""
        environment = tuple(sorted(request.base_env.items()))
        work = []
        for spec in accept(request.specs, [app.spec for app in self.apps.values()]):
            app = self.apps.get(spec.name) or self.new_app(spec, request.base_env, self.clock.wall())
            kind = ("apply", spec, environment, request.reload)
            run = app.operations.do(kind, self._bring_up(app, spec, request.base_env, is_reload=request.reload))
            work.append(Asked(run, app, None))
        left = self._left_of(request)
        if request.prune:
            for name in left:
                app = self.apps[name]
                app.interrupt(app.instances)
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

    def _bring_up(self, app: App, spec: AppSpec, base_env: dict[str, str], *, is_reload: bool) -> Work:
        async def work() -> list[Begun]:
            present = self.apps.setdefault(spec.name, app)  # a delete may have been in the queue before us
            if present is not app:  # and somebody has started it anew since
                kind = ("apply", spec, tuple(sorted(base_env.items())), is_reload)
                return await present.operations.do(kind, self._bring_up(present, spec, base_env, is_reload=is_reload))
            is_changed = msgspec.structs.replace(app.spec, instances=spec.instances, origin=spec.origin) != spec
            rolled: list[Begun] = []
            one_by_one = is_reload and not app.edition.is_clustered and not spec.bind
            if (is_changed or is_reload) and app.can_roll_to(spec):
                rolled = await self._reloader.reload(app, app.running, app.next_edition(spec, base_env))
                if app.spec is not spec:  # it was given up
                    return rolled
                is_changed = False
            elif is_changed and app.edition.is_clustered:
                await app.door.shut(app.edition)
            app.describe(spec, base_env)
            app.held = False
            surplus, _ = await self._resize(app, spec.instances)
            staying = [one for one in app.instances if one not in surplus]
            for one in staying:
                one.want("running", "restart" if is_changed else "")
            begun = await self._acts.dismiss(surplus)  # on disk before anything runs
            if one_by_one:
                return begun + await self._roll_or_start(app, staying)
            act = self._acts.restart if is_changed else self._acts.start
            done = await asyncio.gather(*(act(one) for one in staying))
            known = {one.instance: one for one in rolled}
            return begun + [known.get(one.instance, one) if one.did == "unchanged" else one for one in done]

        return work

    async def _roll_or_start(self, app: App, chosen: list[Instance], coming: Edition | None = None) -> list[Begun]:
        """Replace those that run, start the others."""
        running = [one for one in chosen if one in app.running]
        others = [one for one in chosen if one not in running]
        for one in others:
            one.want("running")
        if coming is not None and not running:
            await app.become(coming)
        begun = await self._reloader.reload(app, running, coming) if running else []
        return begun + await asyncio.gather(*(self._acts.start(one) for one in others))

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
            each = self._each(verb, app, chosen, request.base_env)
            if verb == "reload":  # one that is under way is joined, not only one that waits
                run = app.reloads.run(kind, functools.partial(app.operations.do, kind, each))
            else:
                if verb != "start":
                    app.interrupt(chosen)
                run = app.operations.do(kind, each)
            work.append(Asked(run, app, chosen))
        return await self._outcomes(work, request.wait, request.timeout)

    def _each(self, verb: Verb, app: App, chosen: list[Instance], base_env: dict[str, str] | None = None) -> Work:
        do = {"start": self._acts.start, "stop": self._acts.stop, "restart": self._acts.restart}.get(verb)

        async def work() -> list[Begun]:
            present = [one for one in chosen if one in app.instances]  # a delete may have been in the queue before us
            if verb in ("stop", "restart", "delete"):
                app.take_turn()
            if verb == "reload" and base_env is not None:
                check_covered(app, present)
            if verb in ("start", "restart", "reload"):
                if base_env is not None and (verb != "reload" or not app.edition.is_clustered):
                    app.base_env = base_env
                if app.held and present:  # the others stay down, also for the next manager
                    app.held = False
                    for one in app.instances:
                        one.want("stopped")
                for one in present if verb != "reload" else ():
                    one.want("running", "restart" if verb == "restart" and base_env is not None else "")
            elif verb in ("stop", "delete"):
                for one in present:
                    one.want("stopped")
                await app.shut_unused()
            self._changed()
            gone = [
                Begun(one, "deleted" if verb in ("stop", "delete") else "gone") for one in chosen if one not in present
            ]
            if verb == "reload":
                is_other = base_env is not None and app.edition.is_clustered
                coming = app.next_edition(app.spec, base_env or {}) if is_other else None
                return gone + await self._roll_or_start(app, present, coming)
            if do is None:
                return gone + await self._acts.dismiss(present)
            return gone + await asyncio.gather(*(do(one) for one in present))

        return work

    async def _resize(self, app: App, count: int) -> tuple[list[Instance], list[Instance]]:
        """Have so many slots: which go (they are there yet), and which are new."""
        before = len(app.instances)
        is_steered = count != before and app.door.steer(app.edition, min(before, count))
        if is_steered and count < before:
            await self.clock.sleep(LATE)  # whose handshake has begun
        indexes, missing = resized([one.index for one in app.instances], count)
        surplus = [one for one in app.instances if one.index in indexes]
        new = [self.new_instance(app, index) for index in missing]
        if is_steered and new:  # their sockets get nothing before they are ready
            self._keep(steer_when_ready(app, new, self.events))
        return surplus, new

    def go_on(self, app: App) -> None:
        """Do what was begun with instances of an app when the manager before died.

        It returns at once; what fails later (StopFailed, LinkError) is logged. close() gives it up.
        """
        begun = [one for one in app.instances if one.pending == "delete" or (one.pending and not app.held)]
        rolling = [one for one in begun if one.pending == "reload"]
        for one in app.instances:
            for copy in list(one.leaving):
                self._keep(end_beside(one, copy, self._changed))
        if not begun and app.coming is None:
            return

        async def work() -> list[Begun]:
            do = {"delete": self._acts.delete, "restart": self._acts.restart}
            done = await asyncio.gather(*(do[one.pending](one) for one in begun if one.pending in do))
            if rolling:
                return done + await self._roll_or_start(app, rolling, app.coming)
            if app.coming is not None:  # all were replaced
                await app.become(app.coming)
            return done

        asyncio.ensure_future(app.operations.do(object(), work)).add_done_callback(note)

    def _keep(self, work: Coroutine[object, object, None]) -> None:
        """Do it beside everything else."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(note)

    async def _recycle(self, app: App, slot: int) -> None:
        async def work() -> list[Begun]:
            for one in app.instances:
                if one.index == slot:
                    await self._reloader.replace(app, one)
            return []

        await app.operations.do(object(), work)

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
            check_size(larger)
            check_log_files([larger], [other.spec for other in self.apps.values()])
            app.describe(larger, app.base_env)
            is_up = not app.held and any(one.desired == "running" for one in app.instances)
            surplus, new = await self._resize(app, count)
            for one in new:
                one.want("running" if is_up else "stopped")
            name, namespace = app.spec.name, app.spec.namespace
            self.events.add(
                "scale", name=name, namespace=namespace, before=str(before), after=str(count), reason="asked to scale"
            )
            begun = await self._acts.dismiss(surplus)
            if not is_up:
                return [*begun, *(Begun(one, "added") for one in new)]
            return [*begun, *await asyncio.gather(*(self._acts.start(one) for one in new))]

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
        for app in self.apps.values():
            app.interrupt(app.instances)
        # Also apps without instances: they may be about to get some.
        work = [
            Asked(app.operations.do("kill", self._all_down(app)), app, None) for app in reversed(self.apps.values())
        ]
        limit = max([stop_plan(app.spec).graceful_timeout for app in self.apps.values()], default=0.0) + 30.0
        return await self._outcomes(work, "started", limit)

    async def _outcomes(self, work: list[Asked], wait: Wait, timeout: float) -> ActionResult:  # noqa: ASYNC109
        def log_of(one: Instance) -> str:
            return one.log_paths(self.log_folder)[1]

        return await gather_outcomes(work, wait, timeout, self._save, log_of)

    def _all_down(self, app: App) -> Work:
        async def work() -> list[Begun]:
            app.take_turn()
            app.held = any(one.desired == "running" for one in app.instances)
            await app.shut()
            return await asyncio.gather(*(self._acts.stop(one) for one in app.instances))

        return work

    def stay(self) -> None:
        """Take stop_all() back: what was stopped stays so, the rest is looked after."""
        self.is_leaving = False
        self._changed()

    async def close(self) -> None:
        """Let go of everything without touching a process; the next manager goes on."""
        self._is_closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for app in list(self.apps.values()):
            await app.close()


def _target(instance: Instance) -> Target:
    spec = instance.app.spec
    return Target(instance.id, spec.name, spec.namespace, instance.index)
