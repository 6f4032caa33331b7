"""The process that accepts for the workers of an app, as the keeper's child: it goes on while managers change.

Streams to it and to the workers are held by the keeper too, both ends of each; a new manager tells it all anew.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery.cluster.acceptor.passing import Link, Passing
from rookery.cluster.contract import FIRST_FD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rookery._base.clock import Clock
    from rookery.apps.outfit import DescriptorKeep
    from rookery.cluster.settings import Settings
    from rookery.cluster.sockets import Listeners
    from rookery.cluster.stats import Page
    from rookery.process.protocols import Handle, Spawner
    from rookery.process.spec import SpawnSpec
    from rookery.supervise.record import UnitEvent

PREFIX = "accept-"


class Stand(NamedTuple):
    """What it stands on; see Bench. sockets: {descriptor: name in the store}, of the listening ones."""

    key: str
    clock: Clock
    spawner: Spawner
    scope: str
    keep: DescriptorKeep
    listeners: Listeners
    sockets: Mapping[int, str]
    env: Mapping[str, str]


class _Bench:
    null = -1

    def __init__(self, stand: Stand) -> None:
        self.clock = stand.clock
        self.spawner = stand.spawner
        self.scope = stand.scope
        self.listeners = stand.listeners
        self._key = stand.key

    def next_key(self, slot: int) -> str:  # noqa: ARG002
        """See Bench."""
        return self._key


def key_of(app: str, number: int) -> str:
    """The key of an edition's acceptor, without what Passing adds."""
    return f"{PREFIX}{app}-{number}"


class KeptPassing(Passing):
    """See Passing."""

    def __init__(self, stand: Stand, settings: Settings) -> None:
        super().__init__(_Bench(stand), settings)
        self._stand = stand
        self._names: dict[int, list[str]] = {}
        """Of the streams, by worker."""
        self._control_names: list[str] = []

    async def prepare(self, generation: int) -> SpawnSpec:
        """See Plumbing."""
        await self._hold(generation, socket.socketpair())
        sockets = self._stand.sockets
        numbers = tuple(range(FIRST_FD, FIRST_FD + len(sockets)))
        control = FIRST_FD + len(sockets)
        spec = self._spec(numbers, control, self._stand.env)
        fds: dict[int, int | str] = dict(zip(numbers, sockets.values(), strict=True))
        return spec._replace(fds={**fds, control: self._control_names[1]})

    async def _hold(self, generation: int, ends: tuple[socket.socket, socket.socket]) -> None:
        names = self._names_of_control(generation)
        await self._stand.keep.put(names, [end.fileno() for end in ends])
        self._control_names = names
        self._connect(ends)

    def _names_of_control(self, generation: int) -> list[str]:
        return [f"control/{self.unit.key}/{generation}/{end}" for end in ("ours", "theirs")]

    async def finish(self, generation: int) -> tuple[str, ...]:
        """See Plumbing."""
        words = await super().finish(generation)
        self._stand.keep.drop(self._control_names)
        self._control_names = []
        return words

    def _changed(self, event: UnitEvent) -> None:
        """The keeper is its guardian."""

    # -- workers ------------------------------------------------------------------------------------------------------

    async def open_kept(
        self, slot: int, worker: int, page: Page, copy: tuple[str, int]
    ) -> tuple[dict[str, Any], dict[int, str]]:
        """See open(); and the names of its descriptors. copy: unit and generation."""
        source = self.open(slot, worker, page)
        link = self._links[worker]
        names = [f"pass/{copy[0]}/{copy[1]}/{worker}/{end}" for end in ("ours", "theirs")]
        self._names[worker] = names
        await self._stand.keep.put(names, [link.ours.fileno(), link.theirs.fileno()])
        return source, {link.theirs.fileno(): names[1]}

    def gone(self, worker: int) -> None:
        """See Passing."""
        super().gone(worker)
        self._stand.keep.drop(self._names.pop(worker, []))

    # -- a change of managers -----------------------------------------------------------------------------------------

    async def recover_worker(
        self, slot: int, page: Page, copy: tuple[str, int], stored: Iterable[str], *, is_ready: bool
    ) -> int:
        """Take back the stream of a copy that an earlier manager opened; the worker's id, 0 where there is none."""
        prefix = f"pass/{copy[0]}/{copy[1]}/"
        names = sorted(name for name in stored if name.startswith(prefix))
        found = await self._stand.keep.get(names)
        if len(found) != 2:
            for fd in found.values():
                os.close(fd)
            return 0
        ours, theirs = (socket.socket(fileno=found[name]) for name in names)
        worker = int(names[0].split("/")[3])
        link = self._links[worker] = Link(slot, worker, page, (ours, theirs))
        link.is_ready = is_ready
        self._names[worker] = names
        return worker

    async def recover(self, handle: Handle, generation: int, uptime: float) -> None:
        """Go on with the acceptor of an earlier manager; all its workers have been recovered."""
        names = self._names_of_control(generation)
        found = await self._stand.keep.get(names)
        if len(found) == 2:
            self._control_names = names
            ours, theirs = (socket.socket(fileno=found[name]) for name in names)
            self._connect((ours, theirs))
        else:
            for fd in found.values():
                os.close(fd)
        self.unit.adopt(handle, generation, uptime=uptime, is_ready=True)

    def held(self) -> dict[str, int]:
        """Everything by its name in the keeper."""
        held: dict[str, int] = {}
        if self._control is not None and self._theirs is not None and self._control_names:
            held = dict(zip(self._control_names, (self._control.fileno(), self._theirs.fileno()), strict=True))
        for worker, names in self._names.items():
            link = self._links.get(worker)
            if link is not None:
                held |= dict(zip(names, (link.ours.fileno(), link.theirs.fileno()), strict=True))
        return held

    async def let_go(self) -> None:
        """This manager leaves; the keeper goes on holding everything."""
        await self.unit.close()
        if self._control is not None and self._theirs is not None:
            self._disconnect(self._control)
            self._control.close()
            self._theirs.close()
            self._control = self._theirs = None
        for link in self._links.values():
            link.close()
        self._links.clear()
        while self._given:
            os.close(self._given.popleft()[1])
