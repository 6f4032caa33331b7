"""The manager's view of the collector: which pipes go to which files."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery import errors
from rookery.daemon.manager.direct import empty_in_place
from rookery.daemon.manager.link import Link
from rookery.daemon.manager.log_faults import LogFaults
from rookery.daemon.manager.log_settings import writer_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from rookery.daemon.manager.log_settings import Streams

_COMES_UP_WITHIN = 30.0
_PAUSE = 0.02
_LONGEST_PAUSE = 1.0
_FLUSH_DEADLINE = 5.0
_EMPTY_DEADLINE = 15.0
_log = logging.getLogger(__name__)


class Pipes(NamedTuple):
    """The output of one copy of an instance: descriptors of ours, and where they go. streams: as in the wire."""

    unit: str
    generation: int
    out: int
    err: int
    streams: Streams


class CollectorClient:
    """Keeps the collector informed, also a new one after a death.

    connect: gives a connected socket, or raises OSError; on_event: called with each thing it says unasked
    (``log_full``, ``log_dropped``), after ``faults`` has been brought up to date.
    """

    def __init__(
        self, connect: Callable[[], socket.socket], on_event: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self._connect = connect
        self._on_event = on_event
        self.faults = LogFaults()
        """Which files are not written at present."""
        self.direct: dict[str, frozenset[str]] = {}
        """Files that apps write themselves, by unit; emptied in place, their writers have them open."""
        self._link: Link | None = None
        self._open: dict[tuple[str, int], Pipes] = {}
        self._up = asyncio.Event()
        self._problem = ""
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.pid: int | None = None

    async def start(self) -> None:
        """Connect for the first time. Raises LinkError when the collector does not come up."""
        self._keep_trying()
        try:
            await asyncio.wait_for(self._up.wait(), _COMES_UP_WITHIN)
        except TimeoutError:
            raise errors.LinkError("the collector does not come up", why=self._problem) from None

    def _keep_trying(self) -> None:
        # One attempt at a time: two would tell two collectors, or one twice, of the same pipes.
        if not self._closing and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._reconnect())

    def _lost(self) -> None:
        self._up.clear()
        self._keep_trying()

    async def _reconnect(self) -> None:
        """Try until a collector answers and knows all pipes."""
        pause = _PAUSE
        while True:
            link: Link | None = None
            try:
                # The keeper holds the listening socket, so this waits in its queue while a new collector starts.
                link = Link(self._connect(), name="collector", on_event=self._hear, on_lost=self._lost)
                await self._introduce(link)
            except (OSError, errors.LinkError) as error:
                if link is not None:
                    link.close()
                self._problem = str(error)
                _log.warning("the collector is away: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._link = link
                self._up.set()
                return

    async def _introduce(self, link: Link) -> None:
        """Tell a collector what it does not know. Raises LinkError where it goes away meanwhile."""
        hello = await link.call("hello")
        told = {(str(unit), int(generation)) for unit, generation in hello["units"]}
        for unit, generation in told - set(self._open):
            link.post("close", unit=unit, generation=generation)
        # Looked at again after each answer: pipes may be opened and closed meanwhile.
        while identity := next((one for one in self._open if one not in told), None):
            told.add(identity)
            try:
                await _send_open(link, self._open[identity])
            except errors.LinkError as error:
                if not link.is_open:
                    raise
                _log.error("the output of unit %s is not collected: %s", identity[0], error)
        # What it met before we came it does not say again.
        self.faults.begin_anew((await link.call("stats")).get("files", ()))
        if not link.is_open:
            raise errors.LinkError("the collector went away")
        self.pid = hello["pid"]

    def _hear(self, event: dict[str, Any]) -> None:
        self.faults.hear(event, self.writers(str(event.get("path", ""))))
        if self._on_event is not None:
            self._on_event(event)

    @property
    def problem(self) -> str:
        """Which log is not written at present and why, a sentence; or ""."""
        return self.faults.sentence(self.writers)

    def writers(self, path: str) -> list[str]:
        """Who writes to a file at present: ``name:index``."""
        return list(
            dict.fromkeys(
                writer_of(stream)
                for pipes in self._open.values()
                for stream in pipes.streams.values()
                if path in (stream["path"], stream["combined"])
            )
        )

    def note(self, pipes: Pipes) -> None:
        """Pipes that a collector may know already (a new manager takes over); sent at the next connect if not."""
        self._open[pipes.unit, pipes.generation] = pipes

    async def open(self, pipes: Pipes) -> None:
        """Collect from these pipes. While no collector is there the output waits in them.

        Raises LinkError where the collector refuses them.
        """
        self.note(pipes)
        if self._link is not None and self._up.is_set():
            link = self._link
            try:
                await _send_open(link, pipes)
            except errors.LinkError:
                if link.is_open:
                    raise  # otherwise the next collector is told on connect

    async def close_pipes(self, unit: str, generation: int) -> dict[str, Any]:
        """Take everything that is in the pipes, then forget them; return {stream: [path, size]}."""
        if (unit, generation) not in self._open:
            return {}
        try:
            async with asyncio.timeout(_FLUSH_DEADLINE):
                offsets = await self._flush(unit, generation)
        except (TimeoutError, errors.LinkError) as error:
            _log.warning("the end of the output of unit %s is not flushed: %s", unit, str(error) or "no collector")
            offsets = {}
        pipes = self._open.pop((unit, generation), None)
        if pipes is not None:
            os.close(pipes.out)
            os.close(pipes.err)
        return offsets

    async def _flush(self, unit: str, generation: int) -> dict[str, Any]:
        """Have the collector close them; where it dies over that, the next one, which was given them again."""
        while True:
            await self._up.wait()
            assert self._link is not None
            link = self._link
            try:
                answer = await link.call("close", unit=unit, generation=generation)
            except errors.LinkError:
                if link.is_open:
                    raise
            else:
                offsets: dict[str, Any] = answer.get("offsets", {})
                return offsets

    async def empty(self, paths: Iterable[str]) -> int:
        """Begin these logs anew: the files and what was rotated away from them are gone; how many files it were.

        Raises OperationFailed where there is no collector, or one that cannot do it.
        """
        paths = list(dict.fromkeys(paths))
        written = frozenset[str]().union(*self.direct.values())
        emptied = empty_in_place([path for path in paths if path in written])
        others = [path for path in paths if path not in written]
        if not others:
            return emptied
        try:
            async with asyncio.timeout(_EMPTY_DEADLINE):
                await self._up.wait()
                assert self._link is not None
                answer = await self._link.call("empty", paths=others)
        except TimeoutError:
            raise errors.OperationFailed("the logs were not emptied", why=f"no collector: {self._problem}") from None
        except errors.LinkError as error:
            raise errors.OperationFailed("the logs were not emptied", why=str(error), hint="try again") from None
        return emptied + int(answer["emptied"])

    def pipes(self) -> list[Pipes]:
        """All pipes that are open, with descriptors of ours."""
        return list(self._open.values())

    async def close(self) -> None:
        """Leave; the collector goes on."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._link is not None:
            self._link.close()
        for pipes in self._open.values():
            os.close(pipes.out)
            os.close(pipes.err)
        self._open.clear()


async def _send_open(link: Link, pipes: Pipes) -> None:
    await link.call(
        "open",
        (pipes.out, pipes.err),
        unit=pipes.unit,
        generation=pipes.generation,
        order=["out", "err"],
        streams=pipes.streams,
    )
