"""What is around each copy of a worker's process: its sockets, page, channel, notify socket and last words."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

from rookery.cluster import stats
from rookery.cluster.launch import Place, check_program, codec_of, launch, merged
from rookery.cluster.node import words as node_words
from rookery.errors import LinkError
from rookery.ipc.channel import Channel
from rookery.process.notify import Notify
from rookery.process.reader import PipeReader
from rookery.process.readiness import readiness
from rookery.process.spec import SpawnSpec
from rookery.worker import words as worker_words
from rookery.worker.tail import Tail, pass_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.cluster.desk import Desk
    from rookery.cluster.launch import Recipe

_PATIENCE = 0.5
_LAST_LINES = 20


class WorkerPlumbing:
    """Fulfils Plumbing. desk: what all workers of a cluster share; on_words, on_message, on_line: what comes of it.

    page: of the present copy, of the last one when there is none; id: the present copy's.
    """

    def __init__(
        self,
        desk: Desk,
        recipe: Recipe,
        slot: int,
        *,
        on_words: Callable[[dict[str, str]], None],
        on_message: Callable[[Any], None],
        on_line: Callable[[bytes], None] | None = None,
    ) -> None:
        self._desk = desk
        self._recipe = recipe
        self._slot = slot
        self._on_words = on_words
        self._on_message = on_message
        self._on_line = on_line
        self.id = 0
        self.page: stats.Page | None = None
        self.before = stats.Numbers()
        """What earlier copies counted."""
        self.channel: Channel | None = None
        self.tail = Tail()
        self._notify: Notify | None = None
        self._readers: list[PipeReader] = []
        self._ended: asyncio.Event = asyncio.Event()
        self._childs: list[int] = []
        self._receiving: asyncio.Task[None] | None = None

    async def prepare(self, generation: int) -> SpawnSpec:  # noqa: ARG002 - ids count over all workers
        """See Plumbing."""
        desk, recipe = self._desk, self._recipe
        settings = recipe.settings
        self.id = desk.next_id()
        self.tail = Tail()
        self.page = stats.Page.make()
        sock, address = desk.notify_socket(self.id)
        self._notify = Notify(sock, address, {os.geteuid()}, self._on_words)
        theirs = await self._open_channel()
        passing = desk.passing
        place = Place(
            slot=self._slot,
            id=self.id,
            sockets=() if passing else tuple(sock.fileno() for sock in desk.listeners.of(self._slot)),
            page=self.page.fd,
            notify=address,
            channel=theirs,
            addresses=tuple(desk.listeners.addresses(1)),
            port=desk.listeners.port_of(self._slot),
            source=passing.open(self._slot, self.id, self.page) if passing else {},
        )
        started = launch(recipe, place)
        env = merged(os.environ, settings.env, recipe.env, started.env)
        check_program(started.argv, recipe, env, settings.cwd)
        fds = {0: desk.null, **started.fds, **self._outputs()}
        return SpawnSpec(started.argv, env=env, cwd=settings.cwd, fds=fds)

    async def _open_channel(self) -> int:
        ours, theirs = socket.socketpair()
        self._childs.append(theirs.detach())
        codec = codec_of(self._recipe.kind)
        self.channel = Channel(ours, codec=codec, name=f"{self._recipe.settings.name} {self._slot}")
        if codec != "node":
            await self.channel.send(worker_words.welcome(None, exit_on_disconnect=False))
        self._receiving = asyncio.ensure_future(self._receive(self.channel))
        return self._childs[-1]

    async def _receive(self, channel: Channel) -> None:
        try:
            async for message in channel:
                said = node_words.heard(message, self.page) if self._recipe.kind == "node" else None
                if said is None:
                    self._on_message(message)
                else:
                    self._on_words(said)
        except LinkError:  # it said something malformed, and is heard no more
            return

    def _outputs(self) -> dict[int, int]:
        """What it writes to stderr passes through here, for the last lines; stdout only where a line is waited for."""
        self._ended = asyncio.Event()
        fds = {1: 1}
        numbers = [2] if self._on_line is None else [1, 2]
        for number in numbers:
            ours, theirs = os.pipe()
            self._childs.append(theirs)
            fds[number] = theirs
            self._read(ours, number)
        return fds

    def _read(self, fd: int, number: int) -> None:
        def take(data: bytes) -> None:
            if number == 2:
                self.tail.take(data)
                pass_on(data)
            else:
                pass_on(data, 1)
            if self._on_line is not None:
                self._on_line(data)

        def ended() -> None:
            self._readers.remove(reader)
            if not self._readers:
                self._ended.set()

        reader = PipeReader(readiness(asyncio.get_running_loop()), fd, take, ended)
        self._readers.append(reader)

    def started(self) -> None:
        """The worker has its own copies now."""
        for fd in self._childs:
            os.close(fd)
        self._childs.clear()

    def serve(self) -> None:
        """It can do its work: where connections are passed it gets some."""
        if self._desk.passing is not None:
            self._desk.passing.ready(self.id)

    def drain(self) -> None:
        """It is to leave: it gets no more connections."""
        if self._desk.passing is not None:
            self._desk.passing.drain(self.id)

    async def finish(self, generation: int) -> tuple[str, ...]:  # noqa: ARG002
        """See Plumbing."""
        if self._desk.passing is not None:
            self._desk.passing.gone(self.id)
        self.started()
        for reader in list(self._readers):
            reader.look()
        if self._readers:  # somebody has inherited its stderr
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._ended.wait()
            except TimeoutError:
                for reader in list(self._readers):
                    reader.finish()
        if self._notify is not None:
            self._notify.close(unlink=True)
            self._notify = None
        if self._receiving is not None:
            await asyncio.wait({self._receiving}, timeout=_PATIENCE)
            self._receiving.cancel()
            self._receiving = None
        if self.channel is not None:
            self.channel.abort()
            self.channel = None
        if self.page is not None:
            self.before = self.before.plus(self.page.read().at_rest())
            self.page.close()
            self.page = None
        return tuple(self.tail.lines(_LAST_LINES))
