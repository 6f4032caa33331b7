"""The pipes of one instance, made anew for each copy.

stdout and stderr are named pipes opened for reading and writing before the start: a write never fails, and waits when
the pipe is full. They have no name any more by then; the app reaches them as /dev/stdout all the same, and they are
owned by the app's user so that it may. With ``via = "direct"`` they are its log files themselves.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from rookery import errors
from rookery.daemon.manager.collector_client import CollectorClient, Pipes
from rookery.daemon.manager.direct import beginning_of, note_beginning, open_direct, rotate_if_due
from rookery.daemon.manager.last_words import last_words
from rookery.daemon.manager.log_settings import stream_settings
from rookery.daemon.manager.pipes import Stdin, make_pipe, reopen_pipe
from rookery.daemon.manager.worker_gear import WorkerGear
from rookery.process.notify import Notify, make_socket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.apps.outfit import Seat, Wants
    from rookery.cluster.stats import Page
    from rookery.daemon.manager.keeper_client import KeeperClient
    from rookery.daemon.manager.log_settings import Streams
    from rookery.process.spec import SpawnSpec

NOTIFY_FOLDER = "n"
_log = logging.getLogger(__name__)


class InstancePlumbing:
    """See Plumbing."""

    def __init__(self, wants: Wants, *, run_folder: str, keeper: KeeperClient, collector: CollectorClient) -> None:
        self._wants = wants
        self._unit = wants.unit
        self._run_folder = run_folder
        self._keeper = keeper
        self._collector = collector
        self._stdin = Stdin()
        self._gear = WorkerGear(wants.unit, keeper, wants.on_words)
        self._own = ""
        """What follows its unit in the names of a copy beside which there may be another one; "" for all others."""
        self._notify: Notify | None = None
        self._direct: tuple[str, str] | None = None
        """The out and the err log where this copy writes them itself; its settings may name others by now."""
        self._began_at: int | None = None
        """Where this copy's stderr begins in its log, so that an earlier copy's last words are not taken for its.

        None where an earlier manager started it; then the collector knows, or what was written down.
        """

    def _log_names(self, generation: int) -> list[str]:
        return [f"log/{self._unit}/{generation}/out", f"log/{self._unit}/{generation}/err"]

    @property
    def _stdin_name(self) -> str:
        return f"stdin/{self._unit}{self._own}"

    @property
    def _notify_name(self) -> str:
        return f"notify/{self._unit}{self._own}"

    @property
    def page(self) -> Page | None:
        """See Outfit."""
        return self._gear.page

    async def prepare(self, generation: int) -> SpawnSpec:
        """See Plumbing."""
        spec = self._wants.make_spec()
        names = self._log_names(generation)
        seat = await self._wants.seat() if self._wants.spec().bind and self._wants.seat is not None else None
        self._own = f"/{generation}" if seat is not None else ""
        try:
            os.makedirs(self._run_folder, mode=0o711, exist_ok=True)  # it may have been cleaned away
            spec = await self._give_ears(generation, spec, seat)
            if self._wants.spec().logs.via == "direct":
                await self._open_files(generation, spec)
            else:
                out, err = await self._make_pipes(names, spec)
                self._began_at = _size(self._wants.paths()[1])
                await self._collector.open(Pipes(self._unit, generation, out, err, self._streams()))
        except errors.SpawnError:
            self.close()
            raise
        except (OSError, errors.LinkError, errors.SharedMemoryError) as error:
            self.close()
            raise errors.ResourcesExhausted(f"its output has nowhere to go: {error}", argv=spec.argv) from None
        fds: dict[int, int | str] = {1: names[0], 2: names[1], **spec.fds}
        if self._wants.spec().stdin == "pipe":
            fds[0] = self._stdin_name
        return spec._replace(fds=fds)

    async def _open_files(self, generation: int, spec: SpawnSpec) -> None:
        """Its log files for it to write to, rotated first where no other instance writes to them."""
        logs = self._wants.spec().logs
        paths = self._wants.paths()
        in_use = frozenset[str]().union(*self._collector.direct.values())
        fds: list[int] = []
        try:
            for path in dict.fromkeys(paths):
                if path not in in_use:
                    try:
                        rotate_if_due(path, logs.max_size, logs.keep)
                    except OSError as error:  # it grows meanwhile
                        _log.warning("%s cannot be rotated: %s", path, error)
                fds.append(open_direct(path, spec.uid, spec.gid))
            self._began_at = note_beginning(paths[1], self._writer(generation))
            await self._keeper.put(self._log_names(generation), [fds[0], fds[-1]])
        finally:
            for fd in fds:
                os.close(fd)
        self._direct = paths
        self._collector.direct[self._unit + self._own] = frozenset(paths)

    def _writer(self, generation: int) -> str:
        return f"{self._unit}:{generation}"

    async def _give_ears(self, generation: int, spec: SpawnSpec, seat: Seat | None) -> SpawnSpec:
        """Its stdin and its notify socket, where it wants them, and what a worker has."""
        app = self._wants.spec()
        if app.stdin == "pipe":
            self._stdin.take(make_pipe(os.path.join(self._run_folder, f"{self._unit}.in"), spec.uid, spec.gid))
            await self._keeper.put([self._stdin_name], [self._stdin.fd])
        if app.readiness.notify or seat is not None:
            sock, address = make_socket(self._notify_folder, self._address(generation), self._keeper.scope, spec.uid)
            self._hear(sock, address, spec.uid)
            await self._keeper.put([self._notify_name], [sock.fileno()])
            spec = spec._replace(env={**(spec.env or {}), "NOTIFY_SOCKET": address})
            if seat is not None:
                spec = await self._gear.outfit(generation, spec, seat, address)
        return spec

    @property
    def _notify_folder(self) -> str:
        return os.path.join(self._run_folder, NOTIFY_FOLDER)

    def _address(self, generation: int) -> str:
        return f"{self._unit}.{generation}"

    def _hear(self, sock: socket.socket, address: str, uid: int | None) -> None:
        self._notify = Notify(sock, address, {os.geteuid() if uid is None else uid}, self._wants.on_words)

    async def _make_pipes(self, names: Sequence[str], spec: SpawnSpec) -> list[int]:
        fds: list[int] = []
        try:
            for stream in ("out", "err"):
                path = os.path.join(self._run_folder, f"{self._unit}.{stream}")
                fds.append(make_pipe(path, spec.uid, spec.gid))
            await self._keeper.put(names, fds)
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        return fds

    async def recover(self, generation: int, pid: int) -> None:
        """Take what a copy that an earlier manager started has back: from the keeper, else from the copy itself."""
        names = self._log_names(generation)
        owns = [f"{what}/{self._unit}{own}" for own in ("", f"/{generation}") for what in ("stdin", "notify")]
        found = await self._keeper.get([*names, *owns, *self._gear.of(generation)])
        # What it is told by now may not be what it was started as: what it has tells.
        is_worker = bool(found.keys() & set(owns[2:])) or (
            bool(self._wants.spec().bind) and not found.keys() & set(owns)
        )
        self._own = f"/{generation}" if is_worker else ""
        for name in set(owns) & found.keys() - {self._stdin_name, self._notify_name}:
            os.close(found.pop(name))
        self._gear.recover(generation, found)
        if self._stdin_name in found:
            self._stdin.take(found.pop(self._stdin_name))
        if self._notify_name in found:
            address = os.path.join(self._notify_folder, self._address(generation))
            self._hear(socket.socket(fileno=found.pop(self._notify_name)), address, self._wants.make_spec().uid)
        else:
            await self._listen_again(generation)
        self._began_at = None
        logs = {name: found[name] for name in names if name in found}
        # It may have been started before its settings were changed: what its output is tells.
        if self._writes_files(list(logs.values()), pid):
            self._direct = self._wants.paths()
            self._collector.direct[self._unit + self._own] = frozenset(self._direct)
            self._began_at = beginning_of(self._direct[1], self._writer(generation))
        elif len(logs) == len(names):
            self._collector.note(Pipes(self._unit, generation, logs[names[0]], logs[names[1]], self._streams()))
            return
        for fd in logs.values():
            os.close(fd)
        await self._rescue(generation, pid)

    def _writes_files(self, fds: list[int], pid: int) -> bool:
        """Whether it writes its log files itself, by the descriptors that were kept for it, else by its own."""
        if fds:
            return all(stat.S_ISREG(os.fstat(fd).st_mode) for fd in fds)
        with suppress(OSError):  # it has ended, or has no such file
            places = zip((1, 2), self._wants.paths(), strict=True)
            return any(os.path.samefile(f"/proc/{pid}/fd/{number}", path) for number, path in places)
        return False

    async def _listen_again(self, generation: int) -> None:
        """Its keeper was killed and its notify socket with it: one at the same place, for what it is still to say."""
        if not self._wants.spec().readiness.notify and not self._wants.spec().bind:
            return
        uid = self._wants.make_spec().uid
        try:
            sock, address = make_socket(self._notify_folder, self._address(generation), self._keeper.scope, uid)
        except OSError as error:
            _log.warning("unit %s cannot say any more that it is ready: %s", self._unit, error)
            return
        self._hear(sock, address, uid)
        await self._keeper.put([self._notify_name], [sock.fileno()])

    async def _rescue(self, generation: int, pid: int) -> None:
        """Its keeper was killed: it has its pipes open itself, and what it wrote since waits in them."""
        out, err = self._log_names(generation)
        numbers = {} if self._direct else {out: 1, err: 2}
        if self._wants.spec().stdin == "pipe" and self._stdin.fd < 0:
            numbers[self._stdin_name] = 0
        fds: dict[str, int] = {}
        try:
            for name, number in numbers.items():
                fds[name] = reopen_pipe(pid, number)
        except OSError as error:
            _log.warning("the output of pid %s is lost from here on: %s", pid, error)
            for fd in fds.values():
                os.close(fd)
            return
        if not self._direct:
            self._collector.note(Pipes(self._unit, generation, fds[out], fds[err], self._streams()))
        if self._stdin_name in fds:
            self._stdin.take(fds[self._stdin_name])
        if fds:
            await self._keeper.put(list(fds), list(fds.values()))

    def _streams(self) -> Streams:
        return stream_settings(self._wants.spec(), self._wants.instance, self._wants.paths())

    def write(self, data: bytes) -> None:
        """Put data into the app's stdin, all of it or nothing. Raises UsageError, OperationFailed."""
        self._stdin.write(data)

    def held(self) -> dict[str, int]:
        """What is held besides the log pipes, by its name in the keeper."""
        held = {} if self._stdin.fd < 0 else {self._stdin_name: self._stdin.fd}
        held |= self._gear.held()
        return held if self._notify is None else {**held, self._notify_name: self._notify.fd}

    async def finish(self, generation: int) -> tuple[str, ...]:
        """See Plumbing. The flush is a barrier: the last lines are whole when this returns."""
        self._wants.on_end()
        if self._direct is not None:
            path, self._direct = self._direct[1], None
            del self._collector.direct[self._unit + self._own]
            words = last_words([path, _size(path)], self._began_at)
        else:
            offsets = await self._collector.close_pipes(self._unit, generation)
            words = last_words(offsets.get("err"), self._began_at)
        # All that it may have put there: where its start failed nothing is held here any more.
        ears = [self._stdin_name, self._notify_name]
        self._keeper.drop([*self._log_names(generation), *self._gear.names(), *ears])
        self.close()
        return words

    def close(self) -> None:
        """The copy is gone: close its stdin, its notify socket, and what a worker has."""
        self._stdin.close()
        self._gear.let_go()
        if self._notify is not None:
            self._notify.close(unlink=True)
            self._notify = None

    def let_go(self) -> None:
        """This manager leaves; the keeper goes on holding everything, and the copy speaking to its socket."""
        self._stdin.close()
        self._gear.let_go()
        if self._notify is not None:
            self._notify.close(unlink=False)
            self._notify = None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
