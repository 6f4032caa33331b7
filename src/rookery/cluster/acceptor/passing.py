"""The parent's side: it keeps an acceptor alive, and has both ends of the stream to each worker."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import sys
import termios
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from rookery.cluster import contract, stats
from rookery.cluster.acceptor import orders as order_book
from rookery.cluster.acceptor import wire
from rookery.cluster.acceptor.orders import Orders
from rookery.errors import ClusterError
from rookery.lifecycle.restart import Backoff, RestartPolicy
from rookery.lifecycle.state import State
from rookery.lifecycle.stop import StopPlan
from rookery.process.guard import GUARD
from rookery.process.spec import SpawnSpec
from rookery.supervise.unit import Unit
from rookery.worker import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rookery._base.clock import Clock
    from rookery.cluster.settings import Settings
    from rookery.cluster.sockets import Listeners
    from rookery.process.protocols import Spawner
    from rookery.supervise.record import UnitEvent

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
# At the end: what lies beside the package must not hide what the interpreter would find.
_CODE = "import sys; sys.path.append(sys.argv.pop(1)); from rookery.cluster.acceptor.main import main; main()"
_POLICY = RestartPolicy(backoff=Backoff(base=0.01, cap=1.0))
"""Nobody can connect while it is away: it comes back at once, and goes on coming back."""
_PLAN = StopPlan(graceful_timeout=10.0, scope="leader")


class Link:
    """The stream to one copy of a worker. page: not ours; ends: of a stream that is there already, taken over."""

    def __init__(
        self, slot: int, worker: int, page: stats.Page, ends: tuple[socket.socket, socket.socket] | None = None
    ) -> None:
        self.slot = slot
        self.worker = worker
        self.page = page
        self.is_ready = False
        self.ours, self.theirs = ends or socket.socketpair()

    def end(self) -> None:
        """Nobody can put in anything more; what is in it can still be taken out."""
        self.is_ready = False
        try:
            self.ours.shutdown(socket.SHUT_WR)
        except OSError:  # the other side has ended it
            return

    def passed(self) -> int:
        """How many connections it was passed: those it has taken, and those in the stream."""
        while True:
            taken = self.page.words[stats.ACCEPTED]
            (waiting,) = struct.unpack("i", fcntl.ioctl(self.theirs, termios.FIONREAD, b"\0" * 4))
            if self.page.words[stats.ACCEPTED] == taken:
                return taken + int(waiting)

    def close(self) -> None:
        """Let go of both ends."""
        self.ours.close()
        self.theirs.close()


class Bench(Protocol):
    """What it stands on; see Desk."""

    clock: Clock
    spawner: Spawner
    scope: str
    listeners: Listeners
    null: int

    def next_key(self, slot: int) -> str:
        """A name for one more unit."""
        ...


class Passing:
    """desk: who starts processes, and the listening sockets; settings: with balance. One event loop.

    Each copy of a worker goes through open(), ready(), perhaps drain(), and gone().
    """

    def __init__(self, desk: Bench, settings: Settings) -> None:
        self._desk = desk
        self._settings = settings
        self._links: dict[int, Link] = {}
        self._leaving: set[int] = set()
        self._given: deque[tuple[int, int]] = deque()
        """(mark, descriptor) of connections that nobody has."""
        self._out: deque[tuple[wire.Frame, list[int]]] = deque()
        self._control: socket.socket | None = None
        self._theirs: socket.socket | None = None
        self._why = ""
        self._ending: asyncio.Task[None] | None = None
        self._guarded: tuple[int, int] | None = None
        self._sockets = tuple(desk.listeners.of(0))
        self._families = tuple(int(sock.family) for sock in self._sockets)
        balance = settings.balance
        self._function = order_book.by_value(balance) if callable(balance) else ""
        self.unit = Unit(
            f"{desk.next_key(0)}-accepts",
            self,
            desk.spawner,
            scope=desk.scope,
            policy=_POLICY,
            stop_plan=_PLAN,
            clock=desk.clock,
            on_event=self._changed,
            awaits_ready=lambda: True,
        )

    # -- the acceptor -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Return when it could accept; it does once a worker is ready. Raises ClusterError; nothing is left then."""
        why = ""
        try:
            await self.unit.start()
            async with asyncio.timeout(self._settings.start_timeout):
                if await self.unit.settled(crashes=0, min_uptime=0.0):
                    return
            why = self._why or self.unit.reason
        except TimeoutError:
            why = f"it was not ready within {self._settings.start_timeout:g} s"
        finally:
            if not self.unit.is_ready:
                await self.stop()
        raise ClusterError(f"{self._settings.name}: the process that accepts did not start", why=why)

    @property
    def is_ending(self) -> bool:
        """Whether stop() was called."""
        return self._ending is not None

    async def stop(self) -> None:
        """Accept no more; what was accepted has been passed when it returns. Again: joins. Raises StopFailed."""
        if self._ending is None:
            self._ending = asyncio.ensure_future(self.unit.end())
        await asyncio.shield(self._ending)

    def close(self) -> None:
        """No worker is left, nor an acceptor."""
        for worker in list(self._links):
            self.gone(worker)
        while self._given:
            os.close(self._given.popleft()[1])

    async def prepare(self, generation: int) -> SpawnSpec:  # noqa: ARG002
        """See Plumbing."""
        settings = self._settings
        self._connect(socket.socketpair())
        assert self._theirs is not None
        sockets = tuple(sock.fileno() for sock in self._sockets)
        spec = self._spec(sockets, self._theirs.fileno(), os.environ | dict(settings.env))
        fds = {0: self._desk.null, 1: 1, 2: 2, **{fd: fd for fd in (*sockets, self._theirs.fileno())}}
        return spec._replace(fds=fds)

    def _connect(self, ends: tuple[socket.socket, socket.socket]) -> None:
        """Talk to an acceptor over this stream, and tell it of all that are ready."""
        self._control, self._theirs = ends
        self._control.setblocking(False)
        asyncio.get_running_loop().add_reader(self._control, self._hear)
        for link in self._links.values():
            if link.is_ready:
                self._announce(link)
        self._give()

    def _spec(self, sockets: tuple[int, ...], control: int, given: Mapping[str, str | None]) -> SpawnSpec:
        """Its process, without descriptors. sockets, control: their numbers there; given: its environment."""
        settings = self._settings
        orders = Orders(
            sockets=sockets,
            control=control,
            balance="" if callable(settings.balance) else settings.balance,
            function=self._function,
            path=tuple(os.path.abspath(entry) for entry in sys.path),
            title=f"rookery: {settings.name} accepts",
        )
        env = {name: value for name, value in given.items() if value is not None}
        for name in (*words.ALL, contract.NOTIFY, contract.RUNNER, contract.LISTEN_FDS, contract.LISTEN_PID):
            env.pop(name, None)
        env[order_book.VARIABLE] = order_book.encode(orders)
        # What the user's function may import is to be found; without one the start is faster so.
        quick = () if self._function or ":" in orders.balance else ("-I", "-S")
        return SpawnSpec((sys.executable, *quick, "-c", _CODE, _ROOT), env=env, cwd=settings.cwd)

    async def finish(self, generation: int) -> tuple[str, ...]:  # noqa: ARG002
        """See Plumbing. What it was given and has not read is given to the next one."""
        control, theirs = self._control, self._theirs
        self._control = self._theirs = None
        if control is None or theirs is None:
            return ()
        self._hear_all(control)
        self._disconnect(control)
        theirs.setblocking(False)
        try:
            while (heard := wire.receive_frame(theirs)) is not None:
                self._take_back(*heard)
        except OSError:
            pass
        for frame, fds in self._out:
            self._take_back(frame, fds if frame.kind == wire.GIVEN else [])
        self._out.clear()
        control.close()
        theirs.close()
        return ()

    def _disconnect(self, control: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(control)
        loop.remove_writer(control)

    def _take_back(self, frame: wire.Frame, fds: list[int]) -> None:
        if frame.kind == wire.GIVEN:
            self._given.extend(zip(frame.marks, fds, strict=False))
        else:
            for fd in fds:
                os.close(fd)

    def _changed(self, event: UnitEvent) -> None:
        unit = self.unit
        if event.after is State.RUNNING and unit.pid is not None and unit.start_time is not None:
            self._guarded = unit.pid, unit.start_time
            GUARD.watch(*self._guarded, unit.cookie)
        elif self._guarded is not None and event.after not in (State.RUNNING, State.STOPPING):
            GUARD.forget(*self._guarded)
            self._guarded = None

    def _hear(self) -> None:
        if self._control is not None:
            self._hear_all(self._control)

    def _hear_all(self, control: socket.socket) -> None:
        try:
            said = control.recv(8192)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said == wire.READY:
            self.unit.mark_ready()
        elif said.startswith(wire.FAILED):
            self._why = said[1:].decode(errors="replace").strip()
        elif not said:
            asyncio.get_running_loop().remove_reader(control)

    # -- workers ------------------------------------------------------------------------------------------------------

    def open(self, slot: int, worker: int, page: stats.Page) -> dict[str, Any]:
        """A stream for one copy of a worker; what its runner is to know of it."""
        link = self._links[worker] = Link(slot, worker, page)
        number = link.theirs.fileno()
        return {"kind": "passed", "fd": number, "fds": [number], "families": self._families}

    def ready(self, worker: int) -> None:
        """It gets connections from now on."""
        link = self._links.get(worker)
        if link is not None and not link.is_ready:
            link.is_ready = True
            self._announce(link)

    async def lets_go(self, worker: int) -> None:
        """This one is about to be drained, and none comes in its place.

        Where it is the last, nothing more is accepted first: what was accepted still finds somebody to go to. Raises
        StopFailed.
        """
        self._leaving.add(worker)
        if not any(link.is_ready and one not in self._leaving for one, link in self._links.items()):
            await self.stop()

    def drain(self, worker: int) -> None:
        """It gets no more, and sees the end of its stream after what it was passed before. Again: nothing."""
        link = self._links.get(worker)
        if link is not None:
            link.end()
            self._tell(wire.Frame(wire.GONE, link.slot, worker))

    def gone(self, worker: int) -> None:
        """It has ended: what it had not taken goes to others."""
        link = self._links.pop(worker, None)
        self._leaving.discard(worker)
        if link is None:
            return
        link.end()
        for unsaid in [one for one in self._out if one[0].kind == wire.WORKER and one[0].worker == worker]:
            self._out.remove(unsaid)
        self._tell(wire.Frame(wire.GONE, link.slot, worker))
        link.theirs.setblocking(False)
        for marks, fds in wire.all_received(link.theirs):
            self._given.extend(zip(marks, fds, strict=False))
        link.close()
        self._give()

    def _announce(self, link: Link) -> None:
        frame = wire.Frame(wire.WORKER, link.slot, link.worker, link.passed())
        self._tell(frame, [link.ours.fileno(), link.page.fd])

    def _give(self) -> None:
        while self._given and self._control is not None:
            some = [self._given.popleft() for _ in range(min(len(self._given), wire.MOST))]
            self._tell(wire.Frame(wire.GIVEN, marks=bytes([mark for mark, _ in some])), [fd for _, fd in some])

    def _tell(self, frame: wire.Frame, fds: Sequence[int] = ()) -> None:
        """Say it in its turn, also when it cannot be said at once. Where there is no acceptor the next one is told."""
        if self._control is None:
            return
        self._out.append((frame, list(fds)))
        self._write()

    def _write(self) -> None:
        control = self._control
        if control is None:
            return
        loop = asyncio.get_running_loop()
        while self._out:
            frame, fds = self._out[0]
            try:
                wire.send_frame(control, frame, fds)
            except BlockingIOError:
                loop.add_writer(control, self._write)
                return
            except OSError:  # it has ended; finish() sees to what is left
                loop.remove_writer(control)
                return
            self._out.popleft()
            if frame.kind == wire.GIVEN:
                for fd in fds:
                    os.close(fd)
        loop.remove_writer(control)
