"""Door: the listening sockets of one app, held by this manager and by the keeper, so that they outlive both alone."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from rookery import errors
from rookery._base.binds import parse_bind
from rookery.cluster.sockets import Listeners, Place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rookery.apps.edition import Edition
    from rookery.apps.outfit import DescriptorKeep


class Door:
    """app: its name; keep: who holds copies of the sockets. One event loop."""

    def __init__(self, app: str, keep: DescriptorKeep) -> None:
        self._app = app
        self._keep = keep
        self._lock = asyncio.Lock()
        self.accepting = asyncio.Lock()
        """Held while somebody is started who accepts."""
        self._kept: dict[str, int] = {}
        """What the keeper holds by each name: the number of that socket. A path may have another one later."""
        self._editions: list[Edition] = []

    async def open(self, edition: Edition, slot: int) -> Listeners:
        """See that there are sockets for a slot. Raises BindFailed, LinkError."""
        async with self._lock:
            listeners = self._listeners(edition)
            if listeners.is_by_slot:
                listeners.add(slot)
            else:
                listeners.open(1)
            await self._tell()
            return listeners

    def _listeners(self, edition: Edition) -> Listeners:
        if edition.listeners is not None:
            return edition.listeners
        found: dict[Place, list[socket.socket]] = {}
        for other in self._editions:
            if other.listeners is not None:
                for place, sockets in other.listeners.places().items():
                    # Not sock.dup(): that would make it blocking for the workers too.
                    found[place] = [socket.socket(fileno=os.dup(sock.fileno())) for sock in sockets]
        return self._make(edition, found)

    def _make(self, edition: Edition, found: dict[Place, list[socket.socket]], *, joins: bool = False) -> Listeners:
        settings = edition.settings
        balance = settings.balance if isinstance(settings.balance, str) else "shared"
        edition.listeners = Listeners(
            settings.bind,
            balance=balance,
            backlog=settings.backlog,
            unix_mode=settings.unix_mode,
            own_ports=settings.own_ports,
            reuse_port=True,
            found=found,
            joins=joins,
        )
        if edition not in self._editions:
            self._editions.append(edition)
        return edition.listeners

    def seat(self, edition: Edition, slot: int) -> dict[int, str]:
        """The sockets of a slot: {descriptor: name}."""
        listeners = edition.listeners
        if listeners is None:
            return {}
        numbers = {sock.fileno() for sock in listeners.of(slot)}
        return {fd: name for name, fd in self._names(listeners).items() if fd in numbers}

    def held(self) -> dict[str, int]:
        """Everything by its name in the keeper."""
        held: dict[str, int] = {}
        for edition in self._editions:
            if edition.listeners is not None:
                held |= self._names(edition.listeners)
        return held

    def streams(self) -> dict[str, int]:
        """What goes between those who accept, the workers and us, by its name in the keeper."""
        held: dict[str, int] = {}
        for edition in self._editions:
            if edition.passing is not None:
                held |= edition.passing.held()
        return held

    def _names(self, listeners: Listeners) -> dict[str, int]:
        return {
            f"listen/{self._app}/{place.slot}/{number}/{place.bind}": sock.fileno()
            for place, sockets in listeners.places().items()
            for number, sock in enumerate(sockets)
        }

    async def _tell(self) -> None:
        """Have the keeper hold what is open. Raises LinkError."""
        held = self.held()
        inodes = {name: os.fstat(fd).st_ino for name, fd in held.items()}
        new = [name for name, inode in inodes.items() if self._kept.get(name) != inode]
        if new:
            await self._keep.put(new, [held[name] for name in new])
            self._kept.update({name: inodes[name] for name in new})
        self._forget(held)

    def _forget(self, held: Iterable[str]) -> None:
        gone = self._kept.keys() - set(held)
        if gone:
            self._keep.drop(sorted(gone))
            for name in gone:
                del self._kept[name]

    def drop(self, edition: Edition, slot: int) -> None:
        """A slot that has sockets of its own is no more. Nothing is raised; without them it does nothing."""
        if edition.listeners is not None and edition.listeners.is_by_slot:
            edition.listeners.drop(slot)
            self._forget(self.held())

    def steer(self, edition: Edition, slots: int) -> bool:
        """See Listeners.steer. False also where it is not open."""
        return edition.listeners is not None and edition.listeners.steer(slots)

    async def shut(self, edition: Edition) -> None:
        """Nobody is to come any more: from here on only the workers have the sockets.

        Sockets that another edition has too stay open there. Who accepts has passed on what had come by then. Raises
        StopFailed.
        """
        self._shut(edition)
        if edition.passing is not None:
            await edition.passing.stop()

    def _shut(self, edition: Edition) -> None:
        listeners, edition.listeners = edition.listeners, None
        if edition in self._editions:
            self._editions.remove(edition)
        for other in self._editions:
            if other.listeners is not None:
                other.listeners.forget_found()
        if listeners is not None:
            kept = {place.bind for other in self._editions if other.listeners for place in other.listeners.places()}
            if any(place.bind.path and place.bind in kept for place in listeners.places()):
                listeners.let_go()  # the file is the other's
            else:
                listeners.close()
        self._forget(self.held())

    def let_go(self) -> None:
        """This manager leaves; the keeper goes on holding everything."""
        for edition in self._editions:
            if edition.listeners is not None:
                edition.listeners.let_go()

    async def recover(
        self, edition: Edition, stored: Iterable[str], slots: Iterable[int], *, has_workers: bool
    ) -> bool:
        """Take back what an earlier manager opened; whether there was something.

        stored: names in the keeper; slots: that there are; has_workers: somebody is at work with sockets that nobody
        else has any more: new ones are opened beside them. Raises BindFailed, LinkError.
        """
        prefix = f"listen/{self._app}/"
        names = sorted(name for name in stored if name.startswith(prefix))
        if not names and not has_workers:
            return False
        found: dict[Place, list[socket.socket]] = {}
        fds = await self._keep.get(names)
        self._kept.update({name: os.fstat(fd).st_ino for name, fd in fds.items()})
        for name, fd in fds.items():
            place = _place(name)
            if place is None or not _listens(fd):
                os.close(fd)
            else:
                found.setdefault(place, []).append(socket.socket(fileno=fd))
        has_found = bool(found)
        async with self._lock:
            listeners = self._make(edition, found, joins=not has_found)
            for slot in slots if listeners.is_by_slot else [0]:
                if listeners.is_by_slot:
                    listeners.add(slot)
                else:
                    listeners.open(1)
            listeners.forget_found()
            await self._tell()
        return has_found


def _place(name: str) -> Place | None:
    parts = name.split("/", 4)
    try:
        return Place(int(parts[2]), parse_bind(parts[4]))
    except (IndexError, ValueError, errors.UsageError):
        return None


def _listens(fd: int) -> bool:
    sock = socket.socket(fileno=fd)
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
    finally:
        sock.detach()
