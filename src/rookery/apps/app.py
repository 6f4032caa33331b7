"""An app and its instances."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from rookery import errors
from rookery.apps.edition import Edition
from rookery.apps.queue import Operations
from rookery.apps.settle import note
from rookery.apps.state import Desired, Pending, SavedApp, SavedEdition, SavedInstance
from rookery.apps.translate import exit_info
from rookery.cluster.roll import Joined
from rookery.cluster.watch import Watch
from rookery.control.messages import InstanceRow, Outcome
from rookery.lifecycle.hints import Streak
from rookery.lifecycle.state import State
from rookery.logs.names import log_paths

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    from rookery._base.clock import Clock
    from rookery.apps.copies import Copy
    from rookery.apps.door import Door
    from rookery.apps.outfit import Outfit
    from rookery.cluster import roll
    from rookery.cluster.events import ClusterEvent
    from rookery.config.spec import AppSpec
    from rookery.control.messages import ExitInfo
    from rookery.supervise.unit import Unit


_STATUS_LENGTH = 500


class Instance:
    """One running copy of an App (to be): a unit with an index. desired is what a person asked for last.

    copy: who has the place; rising: who is to have it, while a reload waits for that one; leaving: who had it, and
    finishes its work.
    """

    copy: Copy

    def __init__(self, id: int, app: App, index: int) -> None:  # noqa: A002
        self.id = id
        self.app = app
        self.index = index
        self.desired: Desired = "stopped"
        self.pending: Pending = ""
        """What is being done with it and has to be done, also by the next manager."""
        self.rising: Copy | None = None
        self.leaving: list[Copy] = []
        self.generation = 0
        """The highest of its copies."""
        self.status = ""
        """What it says of itself (STATUS= on its notify socket)."""
        self.streak = Streak()
        """Its last exits that were alike."""

    @property
    def unit(self) -> Unit:
        """Of the copy that has the place."""
        return self.copy.unit

    @property
    def plumbing(self) -> Outfit:
        """Of the copy that has the place."""
        return self.copy.plumbing

    @property
    def beside(self) -> list[Copy]:
        """The copies that have not got the place."""
        return [*([self.rising] if self.rising is not None else []), *self.leaving]

    def next_generation(self) -> int:
        """A number for one more process of it; none is used twice."""
        self.generation = max([self.generation, *(one.unit.generation for one in (self.copy, *self.beside))]) + 1
        return self.generation

    def want(self, desired: Desired, pending: Pending = "") -> None:
        """A person wants it to be so."""
        self.desired = desired
        self.pending = pending

    def hear(self, copy: Copy, words: Mapping[str, str]) -> bool:
        """A copy has said something on its notify socket (sd_notify's words); whether that made it ready."""
        if "STATUS" in words and copy is self.copy:
            self.status = words["STATUS"][:_STATUS_LENGTH]
        return copy.hear(words)

    @property
    def last_exit(self) -> ExitInfo | None:
        """How its last copy ended."""
        return exit_info(self.unit.last_exit, max(1, self.streak.count))

    def row(self) -> InstanceRow:
        """As the list shows it."""
        unit = self.unit
        usage = self.copy.usage if unit.pid is not None else None
        row = InstanceRow(
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
        self.copy.fill(row)
        return row

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
            beside=[one.saved(now) for one in self.beside if one.unit.pid is not None],
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

    did: the outcome's word; crashes: the unit's count right after it; reason, exit, hint: of a failure.
    """

    instance: Instance
    did: str
    crashes: int = 0
    reason: str = ""
    exit: ExitInfo | None = None
    hint: str = "what ran before goes on"


class App:
    """A declared program and its instances, with the one queue of operations on them.

    edition: what it is; coming: what a reload that is under way makes of it.
    """

    watch: Watch

    def __init__(self, edition: Edition, created: float, door: Door) -> None:
        self.edition = edition
        self.coming: Edition | None = None
        self.created = created
        self.door = door
        self.held = False
        self.editions = edition.number
        """How many editions there were."""
        self.workers = 0
        """How many workers were started."""
        self.instances: list[Instance] = []
        self.operations: Operations[list[Begun]] = Operations()
        self.reloads: Joined[list[Begun]] = Joined()
        self.rolling: asyncio.Task[roll.Outcome] | None = None
        """A reload that is under way."""
        self.is_interrupted = False
        """Whether something waits before which no reload is to go on."""
        self.going: set[Instance] = set()
        """Those which that ends: they need not go back to what they were."""
        self._retiring: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None

    @property
    def spec(self) -> AppSpec:
        """What is described."""
        return self.edition.spec

    @property
    def base_env(self) -> dict[str, str]:
        """The environment of the command that started it."""
        return self.edition.base_env

    @base_env.setter
    def base_env(self, base_env: dict[str, str]) -> None:
        self.edition.base_env = base_env

    @property
    def running(self) -> list[Instance]:
        """Those that run."""
        return [one for one in self.instances if one.unit.state is State.RUNNING]

    def can_roll_to(self, spec: AppSpec) -> bool:
        """Whether new ones can run beside old ones, and there are some.

        Raises UsageError where they could, but not without losing requests: the kernel gives connections to a socket
        for each slot as long as there is one, and what waits in its queue goes with it.
        """
        can = self.edition.is_clustered and bool(spec.bind) and bool(self.running)
        before = self.edition.spec
        balances = {before.balance, spec.balance}
        if can and len(balances) > 1 and "hash" in balances and set(before.bind) & set(spec.bind):
            raise errors.UsageError(
                f"{spec.name} cannot go from balance {before.balance!r} to {spec.balance!r} while it serves",
                why="connections that wait at the sockets of the one would be lost",
                hint=f"rook stop {spec.name}, then start it with the new file",
            )
        return can

    async def shut_unused(self) -> None:
        """Close sockets at which nobody is to serve any more: who comes is refused. Raises StopFailed."""
        if not any(one.desired == "running" for one in self.instances):
            await self.shut()
        for one in self.instances:
            if one.desired != "running":
                self.door.drop(self.edition, one.index)

    def describe(self, spec: AppSpec, base_env: dict[str, str]) -> None:
        """Be this from now on; what runs keeps its process until it is restarted."""
        self.edition.spec = spec
        self.edition.base_env = base_env
        for instance in self.instances:
            for copy in (instance.copy, *instance.beside):
                copy.describe(copy.edition)

    async def shut(self) -> None:
        """Close all its sockets, also of an edition that a reload could not take back. Raises StopFailed, LinkError."""
        for edition in {self.edition, *(copy.edition for copy in self)}:
            await self.door.shut(edition)
        await asyncio.gather(*self._retiring)

    async def become(self, edition: Edition) -> None:
        """Be that edition from now on; the sockets that only those before had are closed.

        Raises StopFailed, LinkError where their acceptor does not go. Then, and cancelled, it is that edition all the
        same.
        """
        before = {self.edition, *(one.copy.edition for one in self.instances)} - {edition}
        self.edition, self.coming = edition, None
        for instance in self.instances:
            instance.copy.describe(edition)
        for one in before:
            await self.retire(one)

    async def retire(self, edition: Edition) -> None:
        """Close what only that edition had; nobody is of it any more. Raises StopFailed, LinkError, having let go."""
        try:
            await self.door.shut(edition)
        finally:
            passing, edition.passing = edition.passing, None
            if passing is not None:
                await passing.let_go()

    def left(self, copy: Copy) -> None:
        """A copy's process has ended. One of an edition that a reload could not take back is what all are again."""
        edition = copy.edition
        if edition in (self.edition, self.coming):
            return
        copy.describe(self.edition)
        if all(other.edition is not edition for other in self):
            task = asyncio.ensure_future(self.retire(edition))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
            task.add_done_callback(note)

    def next_edition(self, spec: AppSpec, base_env: dict[str, str]) -> Edition:
        """What it may become."""
        self.editions += 1
        return Edition(spec, base_env, self.editions)

    # -- looking after its workers ------------------------------------------------------------------------------------

    @property
    def members(self) -> Mapping[int, Copy]:
        """Who has which slot."""
        return {one.index: one.copy for one in self.instances}

    def __iter__(self) -> Iterator[Copy]:
        """All copies, also those on the way in or out."""
        return iter([copy for one in self.instances for copy in (one.copy, *one.beside)])

    def tend(
        self, clock: Clock, tell: Callable[[ClusterEvent], None], recycle: Callable[[int], Awaitable[object]]
    ) -> None:
        """How to look after the workers; see Watch."""
        self.watch = Watch(self, lambda: self.edition.settings, clock, tell, recycle, samples=False)

    def begin_watch(self) -> None:
        """Look after the workers from now on."""
        if self._watching is None:
            self._watching = asyncio.ensure_future(self.watch.run())

    async def close(self) -> None:
        """Look after it no more, without touching a process.

        Nothing is raised for what was under way; it is given up. Cancelled: some descriptors stay open.
        """
        if self._watching is not None:
            self._watching.cancel()
            await self.watch.close()
        editions = {copy.edition for copy in self} | {self.edition}
        for copy in self:
            await copy.close()
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        for edition in editions:
            if edition.passing is not None:
                await edition.passing.let_go()
        self.door.let_go()

    def interrupt(self, going: Iterable[Instance]) -> None:
        """Give reloads up until take_turn(): something else is wanted now. going: the instances that it ends."""
        self.is_interrupted = True
        self.going.update(going)
        if self.rolling is not None:
            self.rolling.cancel()

    def take_turn(self) -> None:
        """What interrupted begins."""
        self.is_interrupted = False
        self.going.clear()

    def saved(self) -> SavedApp:
        """As the state file keeps it."""
        wanted = any(instance.desired == "running" for instance in self.instances)
        coming = self.coming
        return SavedApp(
            name=self.spec.name,
            spec=self.spec,
            base_env=self.base_env,
            desired="running" if wanted else "stopped",
            created=self.created,
            held=self.held,
            workers=self.workers,
            edition=self.edition.number,
            coming=None
            if coming is None
            else SavedEdition(spec=coming.spec, base_env=coming.base_env, number=coming.number),
        )
