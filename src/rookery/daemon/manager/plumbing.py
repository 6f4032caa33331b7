"""The pipes of one instance, made anew for each copy.

stdout and stderr are named pipes opened for reading and writing before the start: a write never fails, and waits when
the pipe is full. They have no name any more by then; the app reaches them as /dev/stdout all the same, and they are
owned by the app's user so that it may.
"""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery import errors
from rookery.daemon.manager.collector_client import CollectorClient, Pipes
from rookery.logs.tail import MOST, last_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rookery.config.spec import LogSpec
    from rookery.daemon.manager.keeper_client import KeeperClient
    from rookery.process.spec import SpawnSpec

_log = logging.getLogger(__name__)
_LINES = 10
_LINE_LENGTH = 500


class InstancePlumbing:
    """See Plumbing. make_spec: the spec without descriptors; paths: of the out and the err log."""

    def __init__(
        self,
        unit: str,
        make_spec: Callable[[], SpawnSpec],
        *,
        logs: Callable[[], LogSpec],
        paths: Callable[[], tuple[str, str]],
        run_folder: str,
        keeper: KeeperClient,
        collector: CollectorClient,
    ) -> None:
        self._unit = unit
        self._make_spec = make_spec
        self._logs = logs
        self._paths = paths
        self._run_folder = run_folder
        self._keeper = keeper
        self._collector = collector
        self._began_at = 0
        """Where this copy's stderr begins in its log, so that an earlier copy's last words are not taken for its."""

    def _names(self, generation: int) -> list[str]:
        return [f"log/{self._unit}/{generation}/out", f"log/{self._unit}/{generation}/err"]

    async def prepare(self, generation: int) -> SpawnSpec:
        """See Plumbing."""
        spec = self._make_spec()
        names = self._names(generation)
        try:
            streams = self._streams()
            out, err = await self._make_pipes(names, spec)
            self._began_at = _size(self._paths()[1])
            await self._collector.open(Pipes(self._unit, generation, out, err, streams))
        except (OSError, errors.LinkError) as error:
            raise errors.ResourcesExhausted(f"its output has nowhere to go: {error}", argv=spec.argv) from None
        return spec._replace(fds={1: names[0], 2: names[1]})

    async def _make_pipes(self, names: Sequence[str], spec: SpawnSpec) -> list[int]:
        fds: list[int] = []
        try:
            os.makedirs(self._run_folder, mode=0o711, exist_ok=True)  # it may have been cleaned away
            for stream in ("out", "err"):
                path = os.path.join(self._run_folder, f"{self._unit}.{stream}")
                fds.append(make_pipe(path, spec.uid, spec.gid))
            await self._keeper.put(names, fds)
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        return fds

    async def recover(self, generation: int) -> None:
        """Take the pipes of a copy that an earlier manager started back from the keeper."""
        names = self._names(generation)
        found = await self._keeper.get(names)
        if len(found) == len(names):
            self._collector.note(Pipes(self._unit, generation, found[names[0]], found[names[1]], self._streams()))
        else:
            for fd in found.values():
                os.close(fd)

    async def rescue(self, generation: int, pid: int) -> None:
        """Take the pipes of a copy whose keeper was killed back from the copy itself; what it wrote waits in them."""
        fds: list[int] = []
        try:
            for number in (1, 2):
                path = f"/proc/{pid}/fd/{number}"
                if not stat.S_ISFIFO(os.stat(path).st_mode):
                    raise OSError(f"{path} is no pipe of ours")
                fds.append(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
                os.set_blocking(fds[-1], True)  # non-blocking only so that the open cannot hang
        except OSError as error:
            _log.warning("the output of pid %s is lost from here on: %s", pid, error)
            for fd in fds:
                os.close(fd)
            return
        self._collector.note(Pipes(self._unit, generation, fds[0], fds[1], self._streams()))
        await self._keeper.put(self._names(generation), fds)

    def _streams(self) -> dict[str, dict[str, object]]:
        logs = self._logs()
        return {
            stream: {"path": path, "max_size": logs.max_size, "keep": logs.keep, "timestamps": logs.timestamps}
            for stream, path in zip(("out", "err"), self._paths(), strict=True)
        }

    async def finish(self, generation: int) -> tuple[str, ...]:
        """See Plumbing. The flush is a barrier: the last lines are whole when this returns."""
        offsets = await self._collector.close_pipes(self._unit, generation)
        self._keeper.drop(self._names(generation))
        return _last_words(offsets.get("err"), self._began_at)


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
    try:
        lines = last_lines(path, _LINES, max_bytes=min(written, MOST))
    except OSError as error:  # somebody has put something else in its place
        _log.warning("the last words are not to be had: %s", error)
        return ()
    return tuple(line.decode("utf-8", "replace").rstrip("\r\n")[:_LINE_LENGTH] for line in lines)
