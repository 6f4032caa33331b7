"""The listening sockets. The parent makes them, holds them as long as the cluster lives, and gives workers copies.

A connection that waits to be accepted belongs to the socket, not to the worker: no worker takes it along when it ends.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from rookery._base.addresses import connectable
from rookery._base.binds import Bind
from rookery._os.reuseport import steer
from rookery.errors import BindFailed, RookeryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SHARED: Final = -1
LATE: Final = 0.3
"""Seconds after a steer until a handshake that had begun before is over."""
_TRIES = 20


def listen(bind: Bind, *, backlog: int, unix_mode: int | None = None, reuse_port: bool = False) -> list[socket.socket]:
    """The sockets of one bind (a host name may stand for several addresses), not blocking. Raises BindFailed."""
    if bind.path:
        return [_listen_unix(bind, backlog, unix_mode)]
    for left in reversed(range(_TRIES)):
        found = _resolve(bind)
        sockets: list[socket.socket] = []
        port = bind.port
        try:
            for family, address in found:
                sockets.append(_listen_tcp(family, (address[0], port, *address[2:]), backlog, reuse_port=reuse_port))
                port = sockets[0].getsockname()[1]
        except OSError as error:
            _close(sockets)
            if bind.port == 0 and left and sockets:  # the number that was free for the first is not for the second
                continue
            raise _failed(bind, error) from None
        return sockets
    raise AssertionError("unreachable")


def address_of(sock: socket.socket) -> str:
    """Where a socket listens, as a bind is written."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(name)}"
    return str(Bind(name[0], name[1]))


def _resolve(bind: Bind) -> list[tuple[int, tuple[object, ...]]]:
    try:
        found = socket.getaddrinfo(
            bind.host or None, bind.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise BindFailed(str(bind), why=error.strerror or str(error), hint="is the host name right?") from None
    chosen: dict[tuple[object, ...], int] = {}
    for family, _, _, _, address in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            chosen.setdefault(address, family)
    # A machine without IPv6 still resolves to it: what cannot be made here is left out, unless nothing is left.
    usable = [(family, address) for address, family in chosen.items() if _has(family, address)]
    return usable or [(family, address) for address, family in chosen.items()]


def _has(family: int, address: tuple[object, ...]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.bind((address[0], 0, *address[2:]))
    except OSError:
        return False
    return True


def _listen_tcp(family: int, address: tuple[object, ...], backlog: int, *, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _listen_unix(bind: Bind, backlog: int, mode: int | None) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if mode is not None:
            os.fchmod(sock.fileno(), mode)  # before the bind, so that the mode is right at birth
        _remove_stale(bind)
        with connectable(bind.path) as address:
            before = os.umask(0) if mode is not None else None
            try:
                sock.bind(address)
            finally:
                if before is not None:
                    os.umask(before)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise _failed(bind, error) from None
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(bind: Bind) -> None:
    """A socket file at which nobody listens any more makes room; anything else stays. Raises BindFailed, OSError."""
    try:
        if not stat.S_ISSOCK(os.lstat(bind.path).st_mode):
            raise BindFailed(str(bind), why="there is a file of that name, and it is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            with connectable(bind.path) as address:
                probe.connect(address)
        except ConnectionRefusedError:
            os.unlink(bind.path)
            return
        except BlockingIOError:  # its queue is full: somebody has it
            pass
        except FileNotFoundError:
            return
    raise BindFailed(str(bind), why="somebody listens there already")


def _failed(bind: Bind, error: OSError | RookeryError) -> BindFailed:
    why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    hint = "ports below 1024 are root's" if isinstance(error, PermissionError) and 0 < bind.port < 1024 else ""
    return BindFailed(str(bind), why=why, hint=hint)


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


class Place(NamedTuple):
    """Where sockets belong. slot: SHARED, or whose they are alone; bind: as it was asked for."""

    slot: int
    bind: Bind


class Listeners:
    """All sockets of a cluster.

    shared: one set for all slots. by slot ("hash": of one address by SO_REUSEPORT; "port": base + slot): a set for
    each. Where a program binds its port itself there are none, and only the addresses are known.
    reuse_port: SO_REUSEPORT for shared sockets too, so that who comes later can listen beside them; found: sockets that
    are there already, by their Place; taken over, and used in place of new ones; joins: whoever has a port has it for
    us, so listen beside him, until forget_found().
    """

    def __init__(
        self,
        binds: Sequence[Bind],
        *,
        balance: str,
        backlog: int,
        unix_mode: int | None,
        own_ports: bool = False,
        reuse_port: bool = False,
        found: Mapping[Place, list[socket.socket]] | None = None,
        joins: bool = False,
    ) -> None:
        self._binds = tuple(binds)
        self._balance = balance
        self._backlog = backlog
        self._unix_mode = unix_mode
        self._own_ports = own_ports
        self._reuse_port = reuse_port
        self._found = dict(found or {})
        self._joins = joins
        self._shared: list[socket.socket] = []
        self._slots: dict[int, list[socket.socket]] = {}
        self._places: dict[Place, list[socket.socket]] = {}
        self._paths: dict[str, int] = {}

    @property
    def is_by_slot(self) -> bool:
        """Whether each slot has sockets of its own."""
        return self._balance in ("hash", "port") and not self._own_ports

    def open(self, slots: int) -> None:
        """Listen. Raises BindFailed; then nothing is left open."""
        try:
            if self.is_by_slot:
                for slot in range(slots):
                    self.add(slot)
            elif not self._own_ports and not self._shared:
                for bind in self._binds:
                    made = self._take(SHARED, bind) or listen(
                        bind, backlog=self._backlog, unix_mode=self._unix_mode, reuse_port=self._may_reuse(bind)
                    )
                    self._places[Place(SHARED, bind)] = made
                    self._shared += made
                    if bind.path:
                        self._paths[bind.path] = os.stat(bind.path).st_ino
        except BaseException:
            self.close()
            raise

    def _take(self, slot: int, bind: Bind) -> list[socket.socket]:
        """What was found for it, where clients still reach that."""
        found = self._found.pop(Place(slot, bind), None)
        if found is None:  # asked for by another name: port 0 got that port
            same = [
                place
                for place, sockets in self._found.items()
                if place.slot == slot and [address_of(sock) for sock in sockets] == [str(bind)]
            ]
            found = self._found.pop(same[0]) if same else []
        if bind.path and found and not os.path.exists(bind.path):
            _close(found)
            return []
        return found

    def _may_reuse(self, bind: Bind) -> bool:
        """Joining is for ports that are ours: whoever else has it is to be told of by an error."""
        if not self._reuse_port or bind.path:
            return False
        if not any(place.bind == bind for place in self._found):
            self._check_free(bind)
        return True

    def _check_free(self, bind: Bind) -> None:
        """SO_REUSEPORT would let us join somebody else's port. Raises BindFailed."""
        if bind.port and not self._joins:
            _close(listen(bind, backlog=1))

    def add(self, slot: int) -> None:
        """Sockets for one more slot. Raises BindFailed."""
        if not self.is_by_slot or slot in self._slots:
            return
        made: list[socket.socket] = []
        try:
            for bind in self._binds:
                new = self._take(slot, bind) or self._make(slot, bind)
                self._places[Place(slot, bind)] = new
                made += new
        except BaseException:
            _close(made)
            for bind in self._binds:
                self._places.pop(Place(slot, bind), None)
            raise
        self._slots[slot] = made

    def _make(self, slot: int, bind: Bind) -> list[socket.socket]:
        if self._balance == "port":
            own = bind._replace(port=bind.port + slot if bind.port else 0)
            if self._reuse_port:
                self._check_free(own)
            return listen(own, backlog=self._backlog, reuse_port=self._reuse_port)
        kept = {**self._found, **self._places}
        first = next((sockets for place, sockets in kept.items() if place.bind == bind), None)
        if first is None:
            self._check_free(bind)
            return listen(bind, backlog=self._backlog, reuse_port=True)
        made: list[socket.socket] = []
        try:
            for one in first:
                name = one.getsockname()
                made.append(_listen_tcp(one.family, name, self._backlog, reuse_port=True))
        except OSError as error:
            _close(made)
            raise _failed(Bind(name[0], name[1]), error) from None
        return made

    def steer(self, slots: int) -> bool:
        """New connections go to the first ``slots`` sets only; False where that cannot be had, or there are none."""
        if self._balance != "hash":
            return False
        first = next(iter(self._slots.values()), [])
        steered = [steer(sock, slots) for sock in first]  # each address has a group of its own
        return all(steered)

    def drop(self, slot: int) -> None:
        """Close the sockets of a slot that is no more."""
        _close(self._slots.pop(slot, []))
        self._places = {place: sockets for place, sockets in self._places.items() if place.slot != slot}

    def of(self, slot: int) -> list[socket.socket]:
        """What a worker of this slot listens to."""
        return self._slots.get(slot, []) if self.is_by_slot else self._shared

    def places(self) -> dict[Place, list[socket.socket]]:
        """All that are open, by where they belong."""
        return dict(self._places)

    def port_of(self, slot: int) -> int | None:
        """The port that is this slot's alone, where each has one."""
        if self._balance != "port":
            return None
        if self._own_ports:
            return self._binds[0].port + slot
        found = self._slots.get(slot)
        return found[0].getsockname()[1] if found else None

    def addresses(self, slots: int) -> list[str]:
        """Where clients find it."""
        if self._own_ports:
            return [str(self._binds[0]._replace(port=self._binds[0].port + slot)) for slot in range(slots)]
        return list(dict.fromkeys(address_of(sock) for sock in self._all()))

    def addresses_of(self, slot: int) -> list[str]:
        """Where clients find the worker of a slot."""
        if self._own_ports:
            return [str(self._binds[0]._replace(port=self._binds[0].port + slot))]
        return list(dict.fromkeys(address_of(sock) for sock in self.of(slot)))

    def _all(self) -> Iterator[socket.socket]:
        yield from self._shared
        for _, sockets in sorted(self._slots.items()):
            yield from sockets

    def close(self) -> None:
        """Let go of all; files of Unix sockets that are still ours are removed."""
        self.let_go()
        for path, inode in self._paths.items():
            with suppress(OSError):
                if os.stat(path).st_ino == inode:
                    os.unlink(path)
        self._paths.clear()

    def forget_found(self) -> None:
        """All is taken over: close what was found and not asked for, and join nobody from here on."""
        _close([sock for sockets in self._found.values() for sock in sockets])
        self._found.clear()
        self._joins = False

    def let_go(self) -> None:
        """Close our copies; whoever else has some goes on."""
        self.forget_found()
        _close(list(self._all()))
        self._shared.clear()
        self._slots.clear()
        self._places.clear()
