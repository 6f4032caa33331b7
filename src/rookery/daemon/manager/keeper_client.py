"""The manager's view of the keeper: a Spawner whose processes outlive it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rookery._os import kernel
from rookery.daemon.manager.link import Link
from rookery.lifecycle.exit import ExitStatus
from rookery.process.spec import SpawnSpec, to_json
from rookery.process.tree import ProcessTree

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from rookery.process.protocols import Handle


class KeeperHandle:
    """A child of the keeper; see Handle."""

    def __init__(self, client: KeeperClient, child: dict[str, Any]) -> None:
        self._client = client
        self.child = child
        self.exit: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        if child["ended_at"] is not None:
            self.ended(child)
        # Held for the case that the keeper is killed: who opened it while the process lived can still learn how it
        # ended, and no later process with its pid can be taken for it.
        self.pidfd = _open(child) if child["ended_at"] is None else -1

    @property
    def pid(self) -> int:
        """See Handle."""
        pid: int = self.child["pid"]
        return pid

    @property
    def start_time(self) -> int:
        """See Handle."""
        start_time: int = self.child["start_time"]
        return start_time

    def ended(self, child: dict[str, Any]) -> None:
        """The keeper has reaped it."""
        self.child = child
        if not self.exit.done():
            self.exit.set_result(ExitStatus.from_returncode(child["returncode"]))

    async def wait(self) -> ExitStatus:
        """See Handle."""
        return await asyncio.shield(self.exit)

    def signal(self, number: int) -> bool:
        """See Handle. Sent directly: manager and keeper are the same user."""
        return not self.exit.done() and kernel.signal_process(self.pid, self.start_time, number)

    def close(self) -> None:
        """See Handle. The keeper need not remember its exit any longer."""
        self.release()
        self._client.acknowledge(self.child["key"], self.child["generation"])

    def release(self) -> None:
        """Close what is held here; the keeper goes on."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


def _open(child: dict[str, Any]) -> int:
    if not kernel.has_pidfd():
        return -1
    try:
        pidfd = kernel.pidfd_open(child["pid"])
    except OSError:  # it ended meanwhile; the keeper will tell
        return -1
    if kernel.start_time(child["pid"]) != child["start_time"]:
        os.close(pidfd)
        return -1
    return pidfd


@dataclass(frozen=True)
class Calls:
    """What the keeper's client calls.

    on_lost: the keeper was killed; on_replaced: another manager has the lease, or the keeper is about to re-execute
    itself: leave; on_terminate: the keeper was asked to end; on_failed: an upgrade failed, and why.
    """

    on_lost: Callable[[], None]
    on_replaced: Callable[[], None]
    on_terminate: Callable[[], None]
    on_failed: Callable[[str], None]


class KeeperClient:
    """The keeper, held by a lease once take_over() has returned."""

    def __init__(self, sock: socket.socket, calls: Calls) -> None:
        self._link = Link(sock, name="keeper", on_event=self._on_event, on_lost=self._lost)
        self._calls = calls
        self._is_expected = False
        self._handles: dict[tuple[str, int], KeeperHandle] = {}
        # An exit may be told in the same breath as the start, before the caller of spawn() has its turn.
        self._early: dict[tuple[str, int], dict[str, Any]] = {}
        self.pid = 0
        self.scope = ""
        self.epoch = 0

    async def take_over(self, after: int) -> None:
        """Become the manager; after: the last epoch known. Raises LinkError."""
        hello = await self._link.call("hello", version=1)
        self.pid, self.scope = hello["pid"], hello["scope"]
        self.epoch = (await self._link.call("lease", after=after, deadline=30.0))["epoch"]

    async def spawn(self, spec: SpawnSpec, key: str, generation: int) -> KeeperHandle:
        """See Spawner. fds of a spec are keys of the keeper's store."""
        answer = await self._link.call("spawn", key=key, generation=generation, spec=to_json(spec))
        return self.handle(answer["child"])

    def tree(self, handle: Handle, cookie: str) -> ProcessTree:
        """See Spawner."""
        return ProcessTree(handle.pid, handle.start_time, cookie)

    def handle(self, child: dict[str, Any]) -> KeeperHandle:
        """The handle for a child that the keeper told of."""
        identity = (child["key"], child["generation"])
        known = self._handles.get(identity)
        if known is None:
            known = self._handles[identity] = KeeperHandle(self, self._early.pop(identity, child))
        return known

    async def children(self) -> list[dict[str, Any]]:
        """Everything that runs or has ended unacknowledged."""
        children: list[dict[str, Any]] = (await self._link.call("list"))["children"]
        return children

    async def put(self, names: Sequence[str], fds: Sequence[int]) -> None:
        """Store copies of descriptors."""
        await self._link.call("put", fds, names=list(names))

    async def get(self, names: Sequence[str]) -> dict[str, int]:
        """Copies of stored descriptors, for the caller to close; names that are not there are left out."""
        answer, fds = await self._link.fetch("get", names=list(names))
        return dict(zip(answer["names"], fds, strict=True))

    def drop(self, names: Sequence[str]) -> None:
        """Let go of stored descriptors."""
        self._link.post("drop", names=list(names))

    def acknowledge(self, key: str, generation: int) -> None:
        """An exit is written down."""
        self._handles.pop((key, generation), None)
        self._link.post("ack", key=key, generation=generation)

    async def start_collector(self, spec: SpawnSpec) -> int | None:
        """Run the collector from now on, and again when it dies; return its pid."""
        pid: int | None = (await self._link.call("start_collector", spec=to_json(spec)))["pid"]
        return pid

    async def collector_pid(self) -> int | None:
        """The collector's pid, or None while it is being started."""
        pid: int | None = (await self._link.call("list"))["collector"]
        return pid

    async def adopt(
        self, key: str, generation: int, pid: int, start_time: int, started_at: float, *, pidfd: int = -1
    ) -> dict[str, Any]:
        """Have the keeper watch a process of a killed one; pidfd: opened while it lived, or -1."""
        child: dict[str, Any] = (
            await self._link.call(
                "adopt",
                [pidfd] if pidfd >= 0 else [],
                key=key,
                generation=generation,
                pid=pid,
                start_time=start_time,
                started_at=started_at,
            )
        )["child"]
        return child

    async def handed_over(self) -> None:
        """Everything of a killed keeper has been brought; the new one starts a manager of its own."""
        await self._link.call("handed_over")

    async def upgrade(self, python: str, root: str) -> int:
        """Start a manager of another version beside this one; return its pid. It takes the lease when it is ready."""
        pid: int = (await self._link.call("upgrade", python=python, root=root))["pid"]
        return pid

    async def reexec(self, python: str, root: str) -> None:
        """Have the keeper become another version of itself, once that has shown that it can be imported."""
        await self._link.call("reexec", python=python, root=root)

    def handles(self) -> list[KeeperHandle]:
        """All children that are not put away."""
        return list(self._handles.values())

    async def stop(self) -> None:
        """End collector, manager and keeper. Raises LinkError where a child is left."""
        await self._link.call("stop")

    def close(self) -> None:
        """Leave; the keeper goes on."""
        self._link.close()
        for handle in self._handles.values():
            handle.release()

    def _on_event(self, message: dict[str, Any]) -> None:
        if message["event"] == "exit":
            child = message["child"]
            identity = (child["key"], child["generation"])
            handle = self._handles.get(identity)
            if handle is not None:
                handle.ended(child)
            else:
                self._early[identity] = child
        elif message["event"] == "terminate":
            self._calls.on_terminate()
        elif message["event"] in ("lease_lost", "reexec"):
            self._is_expected = True
            self._calls.on_replaced()
        elif message["event"] in ("upgrade_failed", "reexec_failed"):
            self._calls.on_failed(str(message.get("why", "the keeper's new version cannot be imported")))

    def _lost(self) -> None:
        if not self._is_expected:
            self._calls.on_lost()
