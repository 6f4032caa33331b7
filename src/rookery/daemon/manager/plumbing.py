"""The pipes and sockets of one instance, made anew for each copy.

stdout and stderr are named pipes opened for reading and writing before the start: a write never fails, and waits when
the pipe is full. They have no name any more by then; the app reaches them as /dev/stdout all the same, and they are
owned by the app's user so that it may. ``stdin = "pipe"`` is such a pipe too: held open here and in the keeper, it never
ends for the app.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery import errors
from rookery.daemon.manager.collector_client import CollectorClient, Pipes
from rookery.daemon.manager.notify import Notify, make
from rookery.logs.tail import MOST, last_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rookery.config.spec import AppSpec
    from rookery.daemon.manager.keeper_client import KeeperClient
    from rookery.process.spec import SpawnSpec

_log = logging.getLogger(__name__)
_LINES = 10
_LINE_LENGTH = 500
_PIPE_BUF = 4096
"""A write of up to so many bytes is one piece or nothing (Linux; POSIX promises 512)."""


class Wants(NamedTuple):
    """Of one instance. spec: the app's; make_spec: its process without descriptors; paths: of the out and err log."""

    unit: str
    spec: Callable[[], AppSpec]
    make_spec: Callable[[], SpawnSpec]
    paths: Callable[[], tuple[str, str]]
    on_words: Callable[[dict[str, str]], None]


class InstancePlumbing:
    """See Plumbing."""

    def __init__(self, wants: Wants, *, run_folder: str, keeper: KeeperClient, collector: CollectorClient) -> None:
        self._wants = wants
        self._unit = wants.unit
        self._run_folder = run_folder
        self._keeper = keeper
        self._collector = collector
        self._stdin = -1
        self._notify: Notify | None = None
        self._began_at = 0
        """Where this copy's stderr begins in its log, so that an earlier copy's last words are not taken for its."""

    def _names(self, generation: int) -> list[str]:
        return [f"log/{self._unit}/{generation}/out", f"log/{self._unit}/{generation}/err"]

    async def prepare(self, generation: int) -> SpawnSpec:
        """See Plumbing."""
        spec = self._wants.make_spec()
        app = self._wants.spec()
        fds: dict[str, int] = {}
        out, err = self._names(generation)
        numbers: dict[int, int | str] = {1: out, 2: err}
        try:
            fds[out] = self._pipe("out", spec)
            fds[err] = self._pipe("err", spec)
            if app.stdin == "pipe":
                self._stdin = fds[f"stdin/{self._unit}"] = self._pipe("in", spec)
                numbers[0] = f"stdin/{self._unit}"
            if app.readiness.notify:
                address = self._listen(generation, spec.uid)
                assert self._notify is not None
                fds[f"notify/{self._unit}"] = self._notify.fd
                spec = spec._replace(env={**(spec.env or {}), "NOTIFY_SOCKET": address})
            await self._keeper.put(list(fds), list(fds.values()))
        except OSError as error:
            self._put_away()
            raise errors.ResourcesExhausted(f"its pipes could not be made ({error})", argv=spec.argv) from error
        self._began_at = _size(self._wants.paths()[1])
        await self._collector.open(Pipes(self._unit, generation, fds[out], fds[err], self._streams()))
        return spec._replace(fds=numbers)

    def _pipe(self, stream: str, spec: SpawnSpec) -> int:
        return make_pipe(os.path.join(self._run_folder, f"{self._unit}.{stream}"), spec.uid, spec.gid)

    def _listen(self, generation: int, uid: int | None) -> str:
        folder = os.path.join(self._run_folder, "n")
        sock, address = make(folder, f"{self._unit}.{generation}", self._keeper.scope, uid)
        self._notify = Notify(sock, address, {os.geteuid() if uid is None else uid}, self._wants.on_words)
        return address

    async def recover(self, generation: int, pid: int) -> None:
        """Take what a copy that an earlier manager started has back: from the keeper, else from the copy itself."""
        names = self._names(generation)
        stdin, notify = f"stdin/{self._unit}", f"notify/{self._unit}"
        found = await self._keeper.get([*names, stdin, notify])
        self._stdin = found.pop(stdin, -1)
        if notify in found:
            sock = socket.socket(fileno=found.pop(notify))
            uid = self._wants.make_spec().uid
            address = os.path.join(self._run_folder, "n", f"{self._unit}.{generation}")
            self._notify = Notify(sock, address, {os.geteuid() if uid is None else uid}, self._wants.on_words)
        if len(found) == len(names):
            pipes = Pipes(self._unit, generation, found[names[0]], found[names[1]], self._streams())
            self._collector.note(pipes)
        else:
            for fd in found.values():
                os.close(fd)
            await self._rescue(generation, pid)

    async def _rescue(self, generation: int, pid: int) -> None:
        # Keeper and manager were killed both. The copy has its pipes open, and what it wrote since waits in them.
        names = self._names(generation)
        wanted = {names[0]: 1, names[1]: 2}
        if self._wants.spec().stdin == "pipe":
            wanted[f"stdin/{self._unit}"] = 0
        fds: dict[str, int] = {}
        try:
            for name, number in wanted.items():
                fds[name] = _reopen(pid, number)
        except OSError as error:
            _log.warning("the output of pid %s is lost from here on: %s", pid, error)
            for fd in fds.values():
                os.close(fd)
            return
        await self._keeper.put(list(fds), list(fds.values()))
        self._stdin = fds.get(f"stdin/{self._unit}", -1)
        self._collector.note(Pipes(self._unit, generation, fds[names[0]], fds[names[1]], self._streams()))

    def _streams(self) -> dict[str, dict[str, object]]:
        logs = self._wants.spec().logs
        return {
            stream: {"path": path, "max_size": logs.max_size, "keep": logs.keep, "timestamps": logs.timestamps}
            for stream, path in zip(("out", "err"), self._wants.paths(), strict=True)
        }

    def write(self, data: bytes) -> None:
        """Put data into the app's stdin, all of it or nothing. Raises UsageError, OperationFailed."""
        if self._stdin < 0:
            raise errors.UsageError("its stdin is not a pipe", hint='set stdin = "pipe" and restart it')
        if len(data) > _PIPE_BUF:
            raise errors.UsageError(f"a message may have {_PIPE_BUF} bytes, this one has {len(data)}")
        # A description of its own: O_NONBLOCK on the one here would reach the app.
        fd = os.open(f"/proc/self/fd/{self._stdin}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(fd, data)
        except BlockingIOError:
            raise errors.OperationFailed("the app does not read its stdin; the pipe is full") from None
        finally:
            os.close(fd)

    def fds(self) -> dict[str, int]:
        """What is held besides the log pipes, by its name in the keeper."""
        held = {} if self._stdin < 0 else {f"stdin/{self._unit}": self._stdin}
        return held if self._notify is None else {**held, f"notify/{self._unit}": self._notify.fd}

    async def finish(self, generation: int) -> tuple[str, ...]:
        """See Plumbing. The flush is a barrier: the last lines are whole when this returns."""
        offsets = await self._collector.close_pipes(self._unit, generation)
        self._keeper.drop([*self._names(generation), f"stdin/{self._unit}", f"notify/{self._unit}"])
        self._put_away()
        return _last_words(offsets.get("err"), self._began_at)

    def _put_away(self, *, unlink: bool = True) -> None:
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1
        if self._notify is not None:
            self._notify.close(unlink=unlink)
            self._notify = None

    def close(self) -> None:
        """Let go of what is held here; the keeper goes on holding it."""
        self._put_away(unlink=False)


def make_pipe(path: str, uid: int | None, gid: int | None) -> int:
    """A named pipe that has lost its name, open for reading and writing. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    os.mkfifo(path, 0o600)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    finally:
        os.unlink(path)
    if uid is not None or gid is not None:
        os.fchown(fd, -1 if uid is None else uid, -1 if gid is None else gid)
    return fd


def _reopen(pid: int, number: int) -> int:
    path = f"/proc/{pid}/fd/{number}"
    if not stat.S_ISFIFO(os.stat(path).st_mode):
        raise OSError(f"{path} is no pipe of ours")
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(fd, True)  # non-blocking only so that the open cannot hang
    return fd


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _last_words(place: Sequence[Any] | None, began_at: int) -> tuple[str, ...]:
    if not place:
        return ()
    path, end = str(place[0]), int(place[1])
    # Shorter than at the beginning: rotated since, then all of it is this copy's or nearly so.
    written = end - began_at if end >= began_at else MOST
    lines = last_lines(path, _LINES, max_bytes=min(written, MOST))
    return tuple(line.decode("utf-8", "replace").rstrip("\r\n")[:_LINE_LENGTH] for line in lines)
