"""AppManager: all apps, and what can be asked of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec

from rookery import errors
from rookery.apps.app import App, Begun, Instance
from rookery.apps.settle import settle, still_waiting
from rookery.apps.translate import restart_policy, spawn_spec, stop_plan
from rookery.config.selectors import Target, select
from rookery.config.spec import AppSpec
from rookery.control.messages import ActionResult, ActRequest, Outcome, StartRequest, Wait
from rookery.lifecycle.state import State
from rookery.supervise.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from rookery._base.clock import Clock
    from rookery.config.spec import LogSpec
    from rookery.control.service import Verb
    from rookery.process.protocols import Spawner
    from rookery.process.spec import SpawnSpec
    from rookery.supervise.plumbing import Plumbing
    from rookery.supervise.record import UnitEvent


class Outfitter(Protocol):
    """Who gives instances their pipes."""

    def outfit(
        self,
        unit: str,
        make_spec: Callable[[], SpawnSpec],
        *,
        logs: Callable[[], LogSpec],
        paths: Callable[[], tuple[str, str]],
    ) -> Plumbing:
        """The plumbing of one instance."""
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
            logs=lambda: app.spec.logs,
            paths=lambda: instance.log_paths(self.log_folder),
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
        )
        instance = Instance(id, app, index, unit)
        app.instances.append(instance)
        app.instances.sort(key=lambda one: one.index)
        return instance

    def _on_event(self, _: UnitEvent) -> None:
        self._changed()

    # -- doing ------------------------------------------------------------------------------------------------------

    async def apply(self, request: StartRequest) -> ActionResult:
        """See Service."""
        specs = [_decode(raw) for raw in request.specs]
        names = [spec.name for spec in specs]
        for name in names:
            if names.count(name) > 1:
                raise errors.ConfigError(f"the app {name!r} is described twice")
        work = []
        for spec in specs:
            app = self.apps.get(spec.name) or self.new_app(spec, request.base_env, self.clock.wall())
            kind = ("apply", spec, tuple(sorted(request.base_env.items())))
            work.append(app.operations.do(kind, self._bring_up(app, spec, request.base_env)))
        return await self._finish(work, request.wait, request.timeout)

    def _bring_up(
        self, app: App, spec: AppSpec, base_env: dict[str, str]
    ) -> Callable[[], Coroutine[object, object, list[Begun]]]:
        async def work() -> list[Begun]:
            self.apps.setdefault(spec.name, app)  # a delete may have been in the queue before us
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
            await self._save()
            act = self._restart if is_changed else self._start
            return begun + await asyncio.gather(*(act(one) for one in app.instances))

        return work

    async def act(self, verb: Verb, request: ActRequest) -> ActionResult:
        """See Service."""
        if not request.selectors:
            raise errors.UsageError(f"{verb} what?", hint="name an app, or say all")
        by_app: dict[str, list[Instance]] = {}
        for instance in self.instances(request.selectors):
            by_app.setdefault(instance.app.spec.name, []).append(instance)
        do = {"start": self._start, "stop": self._stop, "restart": self._restart, "delete": self._delete}[verb]
        work = []
        for name, chosen in by_app.items():
            kind = (verb, tuple(one.id for one in chosen))
            work.append(self.apps[name].operations.do(kind, self._each(chosen, do)))
        return await self._finish(work, request.wait, request.timeout)

    def _each(
        self, chosen: list[Instance], do: Callable[[Instance], Coroutine[object, object, Begun]]
    ) -> Callable[[], Coroutine[object, object, list[Begun]]]:
        async def work() -> list[Begun]:
            for one in chosen:
                if do != self._delete:
                    one.desired = "stopped" if do == self._stop else "running"
            chosen[0].app.held = False
            self._changed()
            return await asyncio.gather(*(do(one) for one in chosen))

        return work

    async def _start(self, one: Instance) -> Begun:
        crashes = one.unit.crashes
        return Begun(one, "started" if await one.unit.start() else "unchanged", crashes)

    async def _restart(self, one: Instance) -> Begun:
        crashes = one.unit.crashes
        was_up = one.unit.state in (State.RUNNING, State.BACKOFF)
        await one.unit.restart()
        return Begun(one, "restarted" if was_up else "started", crashes)

    async def _stop(self, one: Instance) -> Begun:
        was_stopped = one.unit.state is State.STOPPED
        await one.unit.stop()
        return Begun(one, "already stopped" if was_stopped else "stopped", one.unit.crashes)

    async def _delete(self, one: Instance) -> Begun:
        await one.unit.stop()
        await one.unit.close()
        one.app.instances.remove(one)
        if not one.app.instances and self.apps.get(one.app.spec.name) is one.app:
            del self.apps[one.app.spec.name]
        self._changed()
        return Begun(one, "deleted", one.unit.crashes)

    async def _finish(
        self,
        work: list[Coroutine[object, object, list[Begun]]],
        wait: Wait,
        timeout: float,  # noqa: ASYNC109
    ) -> ActionResult:
        """Wait for operations and for what they began, as far as the request wants and its time allows."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        running = [asyncio.ensure_future(one) for one in work]
        if wait == "none" or not running:
            await asyncio.sleep(0)  # let them get into their queues
            return ActionResult(outcomes=[])
        done, late = await asyncio.wait(running, timeout=timeout)
        begun = [one for task in running if task in done for one in task.result()]
        settling = {one: asyncio.ensure_future(settle(one, wait, self._log_of(one))) for one in begun}
        if settling:
            await asyncio.wait(settling.values(), timeout=max(0.0, deadline - loop.time()))
        outcomes: list[Outcome] = []
        expired = bool(late)
        for one, task in settling.items():
            if task.done():
                outcomes.append(task.result())
            else:
                task.cancel()
                expired = True
                outcomes.append(still_waiting(one, self._log_of(one)))
        await self._save()
        return ActionResult(outcomes=sorted(outcomes, key=lambda one: (one.name, one.index)), expired=expired)

    def _log_of(self, begun: Begun) -> str:
        return begun.instance.log_paths(self.log_folder)[1]

    async def stop_all(self) -> ActionResult:
        """Stop everything and remember that it was wanted (``rook kill``)."""
        for app in self.apps.values():
            app.held = any(one.desired == "running" for one in app.instances)
        work = [
            app.operations.do("kill", self._all_down(app.instances))
            for app in reversed(self.apps.values())
            if app.instances
        ]
        limit = max([app.spec.graceful_timeout for app in self.apps.values()], default=0.0) + 30.0
        return await self._finish(work, "started", limit)

    async def close(self) -> None:
        """Let go of everything without touching a process; the next manager goes on."""
        for one in self.instances():
            await one.unit.close()

    def _all_down(self, chosen: list[Instance]) -> Callable[[], Coroutine[object, object, list[Begun]]]:
        async def work() -> list[Begun]:
            return await asyncio.gather(*(self._stop(one) for one in chosen))

        return work


def _target(instance: Instance) -> Target:
    spec = instance.app.spec
    return Target(instance.id, spec.name, spec.namespace, instance.index)


def _decode(raw: msgspec.Raw) -> AppSpec:
    try:
        spec = msgspec.json.decode(raw, type=AppSpec)
    except msgspec.ValidationError as error:
        raise errors.ConfigError(f"an app is not described well: {error}") from None
    if not spec.command or not spec.command[0]:
        raise errors.ConfigError(f"the app {spec.name!r} has no command")
    if not spec.cwd.startswith("/"):
        raise errors.ConfigError(f"the folder of the app {spec.name!r} is not absolute: {spec.cwd!r}")
    try:
        stop_plan(spec)
    except KeyError:
        raise errors.ConfigError(f"the app {spec.name!r} has an unknown stop_signal {spec.stop_signal!r}") from None
    return spec
