"""What a worker of a clustered app has besides its pipes: its sockets, its page of statistics, and Node's channel."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from rookery.cluster.contract import FIRST_FD
from rookery.cluster.launch import Place, check_program, launch, merged
from rookery.cluster.stats import Page
from rookery.daemon.manager.node_channel import NodeChannel

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.apps.outfit import Seat
    from rookery.daemon.manager.keeper_client import KeeperClient
    from rookery.process.spec import SpawnSpec


class WorkerGear:
    """Of one copy after the other. unit: its id; on_words: called with what a Node worker says. One event loop.

    page: of the present copy, or None.
    """

    def __init__(self, unit: str, keeper: KeeperClient, on_words: Callable[[dict[str, str]], None]) -> None:
        self._unit = unit
        self._keeper = keeper
        self._on_words = on_words
        self._generation = 0
        self._channel: NodeChannel | None = None
        self.page: Page | None = None

    def _name(self, what: str) -> str:
        return f"{what}/{self._unit}/{self._generation}"

    async def outfit(self, generation: int, spec: SpawnSpec, seat: Seat, notify: str) -> SpawnSpec:
        """The process of a worker: the app's command, environment and descriptors with the worker's.

        Raises SpawnError, LinkError, SharedMemoryError, OSError.
        """
        self.let_go()
        self._generation = generation
        self.page = Page.make()
        names = {self._name("page"): self.page.fd}
        end: socket.socket | None = None
        if seat.recipe.kind == "node":
            ours, end = socket.socketpair()
            names |= {self._name("channel"): ours.fileno(), self._name("channel-end"): end.fileno()}
            self._channel = NodeChannel(ours, self.page, self._on_words)
        try:
            await self._keeper.put(list(names), list(names.values()))
        finally:
            if end is not None:
                end.close()
        source: dict[str, Any] = {}
        sockets = dict(seat.sockets)
        passed: dict[int, str] = {}
        if seat.source is not None:
            sockets = {}
            source, passed = await seat.source(self.page)
        keys = [*sockets.values(), self._name("page"), self._name("channel-end"), *passed.values()]
        numbers = range(FIRST_FD, FIRST_FD + len(keys))
        count = len(sockets)
        if passed:
            number = numbers[-1]
            source |= {"fd": number, "fds": [number]}
        place = Place(
            slot=seat.slot,
            id=seat.id,
            sockets=tuple(numbers[:count]),
            page=numbers[count],
            notify=notify,
            channel=-1 if end is None else numbers[count + 1],
            addresses=seat.addresses,
            port=seat.port,
            ours=tuple(sockets),
            source=source,
        )
        launched = launch(seat.recipe, place)
        env = merged(spec.env or {}, launched.env)
        check_program(launched.argv, seat.recipe, env, spec.cwd)
        by_number = dict(zip(numbers, keys, strict=True))
        fds = {number: by_number[found] for number, found in launched.fds.items()}
        return spec._replace(argv=launched.argv, env=env, fds=fds)

    def of(self, generation: int) -> list[str]:
        """The names of what a copy may have that an earlier manager started."""
        return [f"{what}/{self._unit}/{generation}" for what in ("page", "channel")]

    def recover(self, generation: int, found: dict[str, int]) -> None:
        """Take what is its out of what was found."""
        self.let_go()
        self._generation = generation
        page, channel = (found.pop(name, -1) for name in self.of(generation))
        if page >= 0:
            self.page = Page(page)
        if channel >= 0:
            self._channel = NodeChannel(socket.socket(fileno=channel), self.page, self._on_words)

    def held(self) -> dict[str, int]:
        """What is held, by its name in the keeper."""
        held = {} if self.page is None else {self._name("page"): self.page.fd}
        if self._channel is not None:
            held[self._name("channel")] = self._channel.fd
        return held

    def names(self) -> list[str]:
        """Everything that the keeper may hold of the present copy."""
        return [self._name(what) for what in ("page", "channel", "channel-end")] if self._generation else []

    def let_go(self) -> None:
        """Close what is held here."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.page is not None:
            self.page.close()
            self.page = None
