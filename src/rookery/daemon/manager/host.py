"""The Service that the web application is handed: apps, numbers about them, and the manager's own end."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import msgspec

from rookery import errors
from rookery._os import kernel
from rookery.apps.environment import environment_of
from rookery.apps.signals import send_signal, signal_number
from rookery.apps.waiting import wait_for
from rookery.config.environment import mask, mask_options
from rookery.control.messages import AppSource, Flushed, InstanceDetail, InstanceRow, Ping, ProcessRow
from rookery.logs.names import combined_path
from rookery.metrics.sampler import Root, Sampler, tree_of
from rookery.process.tree import INDEX

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery._base.clock import Clock
    from rookery.apps.app import Instance
    from rookery.control.messages import (
        ActionResult,
        ActRequest,
        Event,
        EventQuery,
        InstanceEnv,
        ScaleRequest,
        Signalled,
        SignalRequest,
        StartRequest,
        Until,
        UpgradeRequest,
    )
    from rookery.control.service import EventFeed, Verb
    from rookery.daemon.manager.takeover import Taken
    from rookery.daemon.manager.upgrade import Upgrade

_SAMPLE_EVERY = 2.0
_log = logging.getLogger(__name__)


class Host:
    """See Service. leave: ends the manager once the answer is out."""

    def __init__(self, home: str, taken: Taken, clock: Clock, upgrade: Upgrade, *, leave: Callable[[], None]) -> None:
        self._home = home
        self._taken = taken
        self._apps = taken.apps
        self._clock = clock
        self._upgrade = upgrade
        self._leave = leave
        self._began = clock.monotonic()
        self._sampler = Sampler(INDEX.cookie)
        self._ending: asyncio.Task[ActionResult] | None = None
        self._apps.events.add("manager", pid=os.getpid(), reason=f"in charge, epoch {taken.keeper.epoch}")

    def ping(self) -> Ping:
        """See Service."""
        return Ping(
            pid=os.getpid(),
            uptime=round(self._clock.monotonic() - self._began, 3),
            epoch=self._taken.keeper.epoch,
            apps=len(self._apps.apps),
            home=self._home,
            keeper_pid=self._taken.keeper.pid,
            collector_pid=self._taken.collector.pid,
        )

    def warning(self) -> str:
        """See Service."""
        return "; ".join(filter(None, (self._taken.store.problem, self._taken.collector.problem)))

    def send(self, selectors: list[str], data: bytes) -> list[InstanceRow]:
        """See Service."""
        if not selectors:
            raise errors.UsageError("send to what?", hint="name an app, or say all")
        chosen = self._apps.instances(selectors)
        for one in chosen:
            if one.unit.pid is None:
                raise errors.OperationFailed(f"{one.app.spec.name}:{one.index} does not run", hint="see: rook list")
            one.plumbing.write(data)
        return [one.row() for one in chosen]

    def rows(self, selectors: list[str]) -> list[InstanceRow]:
        """See Service."""
        return [one.row() for one in self._apps.instances(selectors)]

    def details(self, selectors: list[str]) -> list[InstanceDetail]:
        """See Service."""
        return [self._detail(one) for one in self._apps.instances(selectors)]

    def _detail(self, one: Instance) -> InstanceDetail:
        unit = one.unit
        app: dict[str, object] = msgspec.to_builtins(one.app.spec)
        app["env"] = mask(one.app.spec.env)
        app["options"] = mask_options(one.app.spec.options)
        out, err = one.log_paths(self._apps.log_folder)
        left = None if unit.next_start is None else max(0.0, unit.next_start - self._clock.monotonic())
        return InstanceDetail(
            row=one.row(),
            app=app,
            desired=one.desired,
            generation=unit.generation,
            next_restart=left,
            tree=_tree(one),
            status=one.status,
            log_out=out,
            log_err=err,
            beside=[copy.beside("rising" if copy is one.rising else "draining") for copy in one.beside],
        )

    def sources(self, selectors: list[str]) -> list[AppSource]:
        """See Service."""
        found = []
        for one in self._apps.instances(selectors):
            out, err = one.log_paths(self._apps.log_folder)
            name, logs = one.app.spec.name, one.app.spec.logs
            found.append(
                AppSource(
                    id=one.id,
                    name=name,
                    index=one.index,
                    out=out,
                    err=err,
                    timestamps=logs.timestamps,
                    combined=combined_path(self._apps.log_folder, name) if logs.combined else "",
                    json=logs.json,
                    via=logs.via,
                )
            )
        return found

    async def apply(self, request: StartRequest) -> ActionResult:
        """See Service."""
        self._refuse_while_leaving()
        return await self._apps.apply(request)

    async def act(self, verb: Verb, request: ActRequest) -> ActionResult:
        """See Service."""
        self._refuse_while_leaving()
        return await self._apps.act(verb, request)

    async def scale(self, request: ScaleRequest) -> ActionResult:
        """See Service."""
        self._refuse_while_leaving()
        return await self._apps.scale(request)

    async def wait(self, selectors: list[str], until: Until, timeout: float) -> ActionResult:  # noqa: ASYNC109
        """See Service."""
        return await wait_for(self._apps.events, self._apps.instances(selectors), until, timeout)

    def reset(self, selectors: list[str]) -> list[InstanceRow]:
        """See Service."""
        chosen = self._apps.instances(selectors)
        for one in chosen:
            self._apps.reset(one)
        return [one.row() for one in chosen]

    def signal(self, request: SignalRequest) -> list[Signalled]:
        """See Service."""
        number = signal_number(request.signal)
        return send_signal(self._apps.events, self._apps.instances(request.selectors), number, tree=request.tree)

    def environments(self, selectors: list[str], *, reveal: bool) -> list[InstanceEnv]:
        """See Service."""
        return [environment_of(one, reveal=reveal) for one in self._apps.instances(selectors)]

    async def flush(self, selectors: list[str]) -> Flushed:
        """See Service."""
        paths: dict[str, None] = {}
        for one in self._apps.instances(selectors):
            folder, spec = self._apps.log_folder, one.app.spec
            paths |= dict.fromkeys(one.log_paths(folder))
            if spec.logs.combined:
                paths[combined_path(folder, spec.name)] = None
        return Flushed(emptied=await self._taken.collector.empty(list(paths)) if paths else 0)

    def events(self, query: EventQuery) -> list[Event]:
        """See Service."""
        self._apps.check_known(query)
        return self._apps.events.kept(query)

    def follow(self, query: EventQuery) -> EventFeed:
        """See Service."""
        if query.after is None:  # who comes back after a change of managers may mean what is gone by now
            self._apps.check_known(query)
        return self._apps.events.feed(query)

    def _refuse_while_leaving(self) -> None:
        if self._apps.is_leaving:
            raise errors.OperationFailed("the manager is on its way out", hint="try again in a moment")

    async def shut_down(self) -> ActionResult:
        """See Service. Who asks again meanwhile gets the same answer, all else is refused.

        Where something could not be stopped the manager stays.
        """
        if self._ending is None or not self._apps.is_leaving:
            self._apps.events.add("manager", reason="asked to stop everything and leave")
            self._ending = asyncio.ensure_future(self._shut_down())
        return await asyncio.shield(self._ending)

    async def _shut_down(self) -> ActionResult:
        try:
            result = await self._apps.stop_all()
            if result.expired:
                raise errors.OperationFailed("some apps could not be stopped", hint="see: rook list")
        except BaseException:
            self._apps.stay()
            raise
        self._leave()
        return result

    async def upgrade(self, request: UpgradeRequest) -> None:
        """See Service."""
        self._refuse_while_leaving()
        self._apps.events.add("manager", reason=f"asked to make way for the version in {request.root}")
        await self._taken.store.save()
        await self._taken.keeper.upgrade(request.python, request.root)
        await self._upgrade.wait()

    async def sample_for_ever(self) -> None:
        """Take the numbers of all trees every two seconds."""
        while True:
            try:
                self._sample()
            except Exception:  # a number missing is no reason to stop looking after apps
                _log.exception("the sampler failed")
            await self._clock.sleep(_SAMPLE_EVERY)

    def _sample(self) -> None:
        running = {one.unit.key: one for one in self._apps.instances() if one.unit.pid is not None}
        roots = {
            key: Root(one.unit.pid, one.unit.start_time)
            for key, one in running.items()
            if one.unit.pid is not None and one.unit.start_time is not None
        }
        cookies = {one.unit.cookie: key for key, one in running.items()}
        usage = self._sampler.sample(roots, cookies, self._clock.monotonic())
        for key, one in running.items():
            one.copy.usage = usage.get(key)


def _tree(one: Instance) -> list[ProcessRow]:
    unit = one.unit
    if unit.pid is None or unit.start_time is None:
        return []
    return [
        ProcessRow(
            pid=process.pid,
            ppid=process.ppid,
            command=" ".join(kernel.command_line(process.pid)),
            memory=process.rss_pages * kernel.PAGE_SIZE,
        )
        for process in tree_of(Root(unit.pid, unit.start_time))
    ]
