"""The manager's view of the collector: which pipes go to which files."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery import errors
from rookery.daemon.manager.link import Link

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_RECONNECT_FOR = 30.0
_PAUSE = 0.02
_FLUSH_DEADLINE = 5.0
_log = logging.getLogger(__name__)


class Pipes(NamedTuple):
    """The output of one copy of an instance: descriptors of ours, and where they go. streams: as in the wire."""

    unit: str
    generation: int
    out: int
    err: int
    streams: dict[str, dict[str, object]]


class CollectorClient:
    """Keeps the collector informed, also a new one after a death.

    connect: gives a connected socket, or raises OSError.
    """

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect
        self._link: Link | None = None
        self._open: dict[tuple[str, int], Pipes] = {}
        self._up = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.pid: int | None = None

    async def start(self) -> None:
        """Connect for the first time. Raises LinkError when the collector does not come up."""
        await self._reconnect()

    async def _reconnect(self) -> None:
        deadline = asyncio.get_running_loop().time() + _RECONNECT_FOR
        while not self._closing:
            try:
                # The keeper holds the listening socket, so this waits in its queue while a new collector starts.
                self._link = Link(self._connect(), name="collector", on_event=_ignore, on_lost=self._lost)
                hello = await self._link.call("hello")
                self.pid = hello["pid"]
                has = {(str(unit), int(generation)) for unit, generation in hello["units"]}
                for identity, pipes in list(self._open.items()):
                    if identity not in has:
                        await self._send_open(pipes)
                for unit, generation in has - set(self._open):
                    self._link.post("close", unit=unit, generation=generation)
                self._up.set()
            except (OSError, errors.LinkError) as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise errors.LinkError("the collector does not come up", why=str(error)) from None
                await asyncio.sleep(_PAUSE)
            else:
                return

    def _lost(self) -> None:
        self._up.clear()
        if not self._closing:
            _log.warning("the collector went away; waiting for the next one")
            self._task = asyncio.ensure_future(self._reconnect())

    async def _send_open(self, pipes: Pipes) -> None:
        assert self._link is not None
        await self._link.call(
            "open",
            (pipes.out, pipes.err),
            unit=pipes.unit,
            generation=pipes.generation,
            order=["out", "err"],
            streams=pipes.streams,
        )

    def note(self, pipes: Pipes) -> None:
        """Pipes that a collector may know already (a new manager takes over); sent at the next connect if not."""
        self._open[pipes.unit, pipes.generation] = pipes

    async def open(self, pipes: Pipes) -> None:
        """Collect from these pipes. While no collector is there the output waits in them."""
        self.note(pipes)
        if self._up.is_set():
            with suppress(errors.LinkError):  # the next collector is told on connect
                await self._send_open(pipes)

    async def close_pipes(self, unit: str, generation: int) -> dict[str, Any]:
        """Take everything that is in the pipes, then forget them; return {stream: [path, size]}."""
        pipes = self._open.get((unit, generation))
        offsets: dict[str, Any] = {}
        if pipes is None:
            return offsets
        try:
            await asyncio.wait_for(self._up.wait(), _FLUSH_DEADLINE)
            assert self._link is not None
            offsets = (await self._link.call("close", unit=unit, generation=generation)).get("offsets", {})
        except (TimeoutError, errors.LinkError) as error:
            _log.warning("the end of the output of unit %s is not flushed: %s", unit, error)
        self._open.pop((unit, generation), None)
        os.close(pipes.out)
        os.close(pipes.err)
        return offsets

    def pipes(self) -> list[Pipes]:
        """All pipes that are open, with descriptors of ours."""
        return list(self._open.values())

    async def close(self) -> None:
        """Leave; the collector goes on."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError, errors.LinkError):
                await self._task
        if self._link is not None:
            self._link.close()
        for pipes in self._open.values():
            os.close(pipes.out)
            os.close(pipes.err)
        self._open.clear()


def _ignore(_: dict[str, Any]) -> None:
    """The collector says nothing unasked."""
