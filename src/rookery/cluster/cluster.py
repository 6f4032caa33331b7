"""Cluster: many workers behind one port.

Cluster ──► WorkerCrew ──► Member (slot, version) ──► Unit ──► a process
   │            ▲              └── WorkerPlumbing: sockets, page of statistics, channel, notify socket, stderr
   ├── Roll ────┘  new before old
   └── Watch          stuck, too old, too large
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rookery._base.clock import SystemClock
from rookery.cluster.acceptor.passing import Passing
from rookery.cluster.crew import WorkerCrew
from rookery.cluster.desk import Desk
from rookery.cluster.events import ClusterEvent, Teller
from rookery.cluster.launch import Recipe
from rookery.cluster.post import Post, deliver
from rookery.cluster.reloading import ReloadResult, reload
from rookery.cluster.roll import Joined, Roll
from rookery.cluster.serving import serve
from rookery.cluster.settings import count, make_settings
from rookery.cluster.sockets import LATE, Listeners
from rookery.cluster.stats import Numbers
from rookery.cluster.status import ClusterStatus, WorkerStatus, latency_of, status_of
from rookery.cluster.watch import Watch
from rookery.errors import UsageError
from rookery.lifecycle.stop import GRACE_APP, GRACE_DRAIN
from rookery.process.guard import GUARD
from rookery.supervise.turns import Turns

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    from rookery.cluster.member import Member
    from rookery.cluster.settings import Balance
    from rookery.cluster.target import Kind
    from rookery.lifecycle.restart import RestartPolicy


class Cluster:
    """Workers that share a port, kept alive, replaced without failing a request.

    app: ``package.module:attribute`` (an ASGI or WSGI app, looked at in the worker; with kind "socket" a function that
    is given the listening socket, with "connection" one that is called for each connection), a Node script, or a list:
    the command of a program that takes sockets (LISTEN_FDS, or ``{fd}`` in its arguments).
    bind: ``host:port``, ``[v6]:port``, ``:port``, ``unix:/path``, or several; port 0 is any.
    workers: "max" (CPUs by affinity and quota), "half", a number, -1 (all but one). balance: see the reference.
    ready: how a worker says that it can serve: "auto", "notify", "port", "http:/path", "line:TEXT", "channel", False.
    drain_timeout, linger, graceful_timeout: how it leaves. max_requests, max_lifetime, max_memory: replaced then (new
    first); worker_timeout: seconds without a sign of life; request_timeout: for one request. policy: of restarts.
    ssl, options: uvicorn's. Use it from one event loop. All times in seconds. Raises UsageError.
    """

    def __init__(
        self,
        app: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        bind: str | Iterable[str] = "127.0.0.1:8000",
        workers: int | str = "max",
        balance: Balance | Callable[..., Any] = "shared",
        kind: Kind = "auto",
        factory: bool = False,
        args: Iterable[object] = (),
        interpreter: str | os.PathLike[str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str | None] | None = None,
        name: str = "",
        ready: str | bool = "auto",
        start_timeout: float = 30.0,
        settle: float = 1.0,
        max_surge: int = 1,
        drain_timeout: float = GRACE_DRAIN,
        linger: float = 2.0,
        graceful_timeout: float = GRACE_APP,
        max_requests: int | None = None,
        max_requests_jitter: float = 0.1,
        min_recycle_interval: float = 1.0,
        max_lifetime: float | None = None,
        max_memory: int | str | None = None,
        worker_timeout: float | None = 30.0,
        request_timeout: float | None = None,
        policy: RestartPolicy | None = None,
        backlog: int = 2048,
        unix_mode: int | None = None,
        ssl: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        on_event: Callable[[ClusterEvent], object] | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "app", "on_event")}
        self.settings = make_settings(app, {**given, "bind": bind if isinstance(bind, str) else list(bind)})
        self._clock = SystemClock()
        self._teller = Teller(on_event)
        self._post = Post()
        self._desk: Desk | None = None
        self._crew: WorkerCrew | None = None
        self._watch: Watch | None = None
        self._watching: asyncio.Task[None] | None = None
        self._turns = Turns(self.settings.name)
        self._reloads: Joined[ReloadResult] = Joined()
        self._size = self.settings.workers
        self._is_stopping = False

    # -- its life ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, start all workers, return when all are ready.

        Raises BindFailed, WorkerNotReady (the first one's reason), SpawnError; then nothing is left.
        """
        if self._desk is not None or self._is_stopping:
            raise UsageError("this cluster has been started already", hint="make another one")
        settings = self.settings
        listeners = Listeners(
            settings.bind,
            balance=settings.balance if isinstance(settings.balance, str) else "shared",
            backlog=settings.backlog,
            unix_mode=settings.unix_mode,
            own_ports=settings.own_ports,
        )
        listeners.open(self._size)
        desk = self._desk = Desk(settings.name, listeners, self._clock)
        if settings.passes:
            try:
                desk.passing = Passing(desk, settings)
            except BaseException:
                desk.close()
                self._desk = None
                raise
        recipe = Recipe(settings, settings.app, settings.kind)
        crew = self._crew = WorkerCrew(desk, recipe, self._teller, self._message)
        GUARD.begin()
        self._watch = Watch(crew, lambda: settings, self._clock, self._teller.tell, self._recycle)
        self._watching = asyncio.ensure_future(self._watch.run())
        try:
            if desk.passing is not None:
                await desk.passing.start()
            await crew.add(list(range(self._size)))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Drain all workers, end them, let go of the port. Again, or not started: nothing. Raises StopFailed."""
        self._is_stopping = True
        desk, crew = self._desk, self._crew
        if desk is None or crew is None:
            return
        ending = asyncio.ensure_future(self._end(desk, crew))
        cancelled: asyncio.CancelledError | None = None
        while not ending.done():  # a cancel must not leave workers behind
            try:
                await asyncio.wait({ending})
            except asyncio.CancelledError as error:
                if cancelled is not None:  # twice: no time for drains
                    await asyncio.gather(*(member.unit.kill() for member in crew), return_exceptions=True)
                cancelled = error
        ending.result()
        if cancelled is not None:
            raise cancelled

    async def _end(self, desk: Desk, crew: WorkerCrew) -> None:
        # From here on only the workers hold the port: what is in its queue they take, who comes later is refused.
        desk.listeners.close()
        try:
            if desk.passing is not None:
                await desk.passing.stop()
            if self._watching is not None:
                self._watching.cancel()
            for member in crew:
                member.retired = True
            closing = [self._reloads.close(), self._turns.close()]
            if self._watch is not None:
                closing.append(self._watch.close())
            await asyncio.gather(crew.remove(list(crew.members)), *closing)
            await crew.remove(list(crew.members))  # what a roll has put there meanwhile
        finally:
            desk.close()
            self._desk = None

    async def serve(self) -> None:
        """Start, run until SIGTERM or SIGINT, stop; a second one stops at once. Main thread.

        HUP, USR2: reload; TTIN, TTOU: one worker more, one less. Raises as start does, and ClusterError when every
        worker has been given up (see policy).
        """
        await serve(self)

    # -- changing it ------------------------------------------------------------------------------------------------

    async def reload(
        self, app: str | Iterable[str] | None = None, env: Mapping[str, str | None] | None = None
    ) -> ReloadResult:
        """Replace all workers, new before old, ``max_surge`` at a time; return when the last old one has gone.

        app, env: of the new workers, from then on; env is on top of what it was. Asked for again while it is under
        way it joins. Raises ReloadFailed: the old workers go on then. Cancelled: it goes on all the same.
        """
        self._check_running()
        key = (app if app is None or isinstance(app, str) else tuple(app), tuple(sorted((env or {}).items())))
        return await self._reloads.run(key, lambda: self._turns.take(lambda: self._reload(key[0], env)))

    async def _reload(self, app: Any, env: Mapping[str, str | None] | None) -> ReloadResult:
        return await reload(self._live(), app, env or {}, self._clock, self._tell)

    async def _recycle(self, slot: int) -> None:
        async def work() -> None:
            outcome = await Roll(self._live()).run([slot])
            if outcome.failed is not None:
                raise outcome.failed[1]

        await self._turns.take(work)

    async def scale(self, workers: int | str) -> int:
        """Run so many workers from now on; return how many. New ones are ready, old ones have drained then.

        Waits for a reload that is under way. Raises UsageError, WorkerNotReady (then it stays as it was).
        """
        self._check_running()
        wanted = count(workers)
        await self._turns.take(lambda: self._scale(wanted))
        return wanted

    async def _scale(self, wanted: int) -> None:
        crew, listeners = self._live(), self._started().listeners
        before = self._size
        if wanted > before:
            more = list(range(before, wanted))
            listeners.steer(before)  # a new socket gets nothing before its worker is ready
            try:
                for slot in more:
                    listeners.add(slot)
                await crew.add(more)
            except BaseException:
                for slot in reversed(more):
                    listeners.drop(slot)
                raise
            listeners.steer(wanted)
        self._size = wanted
        if wanted < before:
            less = list(range(wanted, before))
            if listeners.steer(wanted):
                await self._clock.sleep(LATE)  # whose handshake has begun
            await crew.remove(less)
            for slot in reversed(less):  # the last first: the others keep their places in the kernel's table
                listeners.drop(slot)
        if wanted != before:
            self._tell("scaled", f"from {before} to {wanted}")

    # -- looking ----------------------------------------------------------------------------------------------------

    @property
    def addresses(self) -> list[str]:
        """Where it listens, with the real ports; empty while it does not."""
        return [] if self._desk is None else self._desk.listeners.addresses(self._size)

    @property
    def size(self) -> int:
        """How many workers there are to be."""
        return self._size

    @property
    def failure(self) -> str:
        """Why nobody serves and nobody will, or ""."""
        return "" if self._crew is None else self._crew.has_failed

    async def changed(self) -> None:
        """Return when a worker has started, become ready or ended."""
        changed = self._live().changed
        changed.clear()
        await changed.wait()

    def status(self) -> ClusterStatus:
        """What everybody is doing now."""
        settings = self.settings
        crew = self._crew
        rows: list[WorkerStatus] = []
        if crew is not None:
            for role, members in (
                ("serving", crew.members.values()), ("rising", crew.rising), ("draining", crew.leaving)
            ):  # fmt: skip
                rows += [self._row(member, role) for member in members]
        total = Numbers() if crew is None else crew.numbers
        return ClusterStatus(
            name=settings.name,
            addresses=tuple(self.addresses),
            balance=settings.balance if isinstance(settings.balance, str) else "function",
            version=1 if crew is None else crew.recipe.version,
            is_reloading=self._reloads.is_busy,
            workers=tuple(sorted(rows, key=lambda row: (row.slot, row.id))),
            requests=total.requests,
            errors=total.errors,
            in_flight=total.in_flight,
            requests_per_second=sum(row.requests_per_second for row in rows),
            latency=latency_of(total),
        )

    def _row(self, member: Member, role: str) -> WorkerStatus:
        crew, watch = self._live(), self._watch
        return status_of(
            member,
            role,
            restarts=crew.restarts.get(member.slot, 0),
            rate=0.0 if watch is None else watch.rate(member),
            usage=None if watch is None else watch.usage.get(member.unit.key),
            now=self._clock.monotonic(),
        )

    # -- messages ---------------------------------------------------------------------------------------------------

    def on_message(self, callback: Callable[[WorkerStatus, Any], object]) -> None:
        """Call it with (worker, message) for each message that a worker sends (see rookery.worker.channel)."""
        self._post.callbacks.append(callback)

    def _message(self, member: Member, message: Any) -> None:
        if self._post.callbacks:
            self._post.came(self._row(member, "serving"), message)

    async def send(self, slot: int, message: Any) -> bool:
        """Send to the worker of a slot; False where it cannot take it now (it starts, or reads nothing).

        Raises UsageError.
        """
        member = self._live().members.get(slot)
        if member is None:
            raise UsageError(f"there is no worker {slot}", hint=f"they are 0 to {self._size - 1}")
        return await deliver(member, message)

    async def broadcast(self, message: Any) -> int:
        """Send to all workers; how many could take it."""
        members = list(self._live().members.values())
        return sum(await asyncio.gather(*(deliver(member, message) for member in members)))

    # -- inside -----------------------------------------------------------------------------------------------------

    def _live(self) -> WorkerCrew:
        if self._crew is None:
            raise UsageError("this cluster has not been started")
        return self._crew

    def _started(self) -> Desk:
        if self._desk is None:
            raise UsageError("this cluster does not run")
        return self._desk

    def _check_running(self) -> None:
        self._started()
        if self._is_stopping:
            raise UsageError("this cluster is being stopped")

    def _tell(self, kind: Any, reason: str) -> None:
        self._teller.tell(ClusterEvent(kind, self._clock.wall(), reason))
