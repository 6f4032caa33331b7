"""The manager's view of the keeper: a Spawner whose processes outlive it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery import errors
from rookery._os import kernel
from rookery.daemon.manager.kept_tree import KeptTree
from rookery.daemon.manager.link import Link
from rookery.lifecycle.exit import ExitStatus
from rookery.process.spec import SpawnSpec, to_json
from rookery.process.tree import ProcessTree

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from rookery.process.protocols import Handle

_LEASE_WITHIN = 30.0
"""Seconds; during an upgrade the answer comes when the manager before has ended."""


class KeeperHandle:
    """A child of the keeper; see Handle."""

    def __init__(self, client: KeeperClient, child: dict[str, Any]) -> None:
        self._client = client
        self.child = child
        self.exit: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        # Held for the case that the keeper is killed: who opened it while the process lived can still learn how it
        # ended, and no later process with its pid can be taken for it.
        self.pidfd = -1
        self.is_born = False
        """Whether it was seen as the keeper's child: one that the keeper has adopted is somebody else's."""
        if child["ended_at"] is None:
            self.pidfd = _open(child)
            facts = kernel.facts(child["pid"])
            self.is_born = facts is not None and (facts.ppid, facts.start_time) == (client.pid, child["start_time"])
        else:
            self.ended(child)

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
        """See Handle. The keeper is told to forget its exit once that is on disk."""
        self.release()
        self._client.noted(self.child["key"], self.child["generation"])

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


class Survey(NamedTuple):
    """children: all that run or have ended unacknowledged; stored: names in the store; collector: its pid."""

    children: list[dict[str, Any]]
    stored: list[str]
    collector: int | None


class KeeperClient:
    """The keeper, held by a lease from take_over() on.

    on_lost: the keeper was killed; on_terminate: it was asked to end; on_replaced: another manager has the lease, or
    the keeper is about to re-execute itself, so leave; on_failed: an upgrade failed, and why.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        on_lost: Callable[[], None],
        on_terminate: Callable[[], None],
        on_replaced: Callable[[], None] | None = None,
        on_failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._link = Link(sock, name="keeper", on_event=self._on_event, on_lost=on_lost)
        self._on_terminate = on_terminate
        self._on_replaced = on_replaced or on_lost
        self._on_failed = on_failed
        self._handles: dict[tuple[str, int], KeeperHandle] = {}
        # An exit may be told in the same breath as the start, before the caller of spawn() has its turn.
        self._early: dict[tuple[str, int], dict[str, Any]] = {}
        # Exits that have been taken note of: first those that are in no snapshot of the state yet.
        self._noted: list[tuple[str, int]] = []
        self._in_snapshot: list[tuple[str, int]] = []
        self.is_superseded = False
        """Whether another manager has the lease; from then on the state is not ours to write."""
        self._is_subreaper = False
        self.helpers: Callable[[], set[int]] = set
        """The pids of the keeper's children that are nobody's app, as far as they are known (the collector's)."""
        self.pid = 0
        self.identity = (0, 0)
        """Its pid and start time."""
        self.scope = ""
        self.epoch = 0

    async def take_over(self, after: int) -> None:
        """Become the manager; after: the last epoch known. Raises LinkError."""
        hello = await self._link.call("hello", version=1)
        self.pid, self.scope = hello["pid"], hello["scope"]
        self._is_subreaper = "subreaper" in hello.get("features", ())
        self.epoch = (await self._link.call("lease", after=after, deadline=_LEASE_WITHIN))["epoch"]
        self.identity = (self.pid, kernel.start_time(self.pid) or 0)

    async def spawn(self, spec: SpawnSpec, key: str, generation: int) -> KeeperHandle:
        """See Spawner. fds of a spec are keys of the keeper's store.

        A lost link is told as ResourcesExhausted: it is to be tried again, by this manager or the next.
        """
        try:
            answer = await self._link.call("spawn", key=key, generation=generation, spec=to_json(spec))
        except errors.LinkError as error:
            raise errors.ResourcesExhausted(f"the keeper did not do it: {error}", argv=spec.argv) from None
        return self.handle(answer["child"])

    def tree(self, handle: Handle, cookie: str) -> ProcessTree:
        """See Spawner."""
        if self._is_subreaper and isinstance(handle, KeeperHandle) and handle.is_born:
            return KeptTree(self, handle, cookie)
        return ProcessTree(handle.pid, handle.start_time, cookie)

    def pids_alive(self) -> set[int]:
        """The pids of the keeper's children that are apps and run."""
        return {handle.pid for handle in self._handles.values() if not handle.exit.done()}

    def handle(self, child: dict[str, Any]) -> KeeperHandle:
        """The handle for a child that the keeper told of."""
        identity = (child["key"], child["generation"])
        known = self._handles.get(identity)
        if known is None:
            known = self._handles[identity] = KeeperHandle(self, self._early.pop(identity, child))
        return known

    async def survey(self) -> Survey:
        """What the keeper has."""
        answer = await self._link.call("list")
        return Survey(answer["children"], answer["stored"], answer["collector"])

    async def put(self, names: Sequence[str], fds: Sequence[int]) -> None:
        """Store copies of descriptors."""
        await self._link.call("put", fds, names=list(names))

    async def get(self, names: Sequence[str]) -> dict[str, int]:
        """Copies of stored descriptors, for the caller to close; names that are not there are left out."""
        answer, fds = await self._link.fetch("get", names=list(names))
        return dict(zip(answer["names"], fds, strict=True))  # as many as were announced, else the link is closed

    def drop(self, names: Sequence[str]) -> None:
        """Let go of stored descriptors."""
        self._link.post("drop", names=list(names))

    def noted(self, key: str, generation: int) -> None:
        """An exit is in our state, but not yet on disk: a manager that dies now must find it with the keeper."""
        self._handles.pop((key, generation), None)
        self._noted.append((key, generation))

    def snapshot_taken(self) -> None:
        """The state that will be written next holds every exit noted so far."""
        self._in_snapshot += self._noted
        self._noted.clear()

    def snapshot_saved(self) -> None:
        """It is on disk: the keeper may forget those exits."""
        for key, generation in self._in_snapshot:
            self._link.post("ack", key=key, generation=generation)
        self._in_snapshot.clear()

    async def adopt(
        self, key: str, generation: int, pid: int, start_time: int, started_at: float, *, pidfd: int = -1
    ) -> dict[str, Any]:
        """Have the keeper watch a process of a killed one; pidfd: opened while it lived, or -1."""
        answer = await self._link.call(
            "adopt",
            [pidfd] if pidfd >= 0 else [],
            key=key,
            generation=generation,
            pid=pid,
            start_time=start_time,
            started_at=started_at,
        )
        child: dict[str, Any] = answer["child"]
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

    async def start_collector(self, spec: SpawnSpec) -> int | None:
        """Run the collector from now on, and again when it dies; return its pid."""
        pid: int | None = (await self._link.call("start_collector", spec=to_json(spec)))["pid"]
        return pid

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
            self._on_terminate()
        elif message["event"] in ("lease_lost", "reexec"):
            self.is_superseded = message["event"] == "lease_lost"
            self._link.close()
            self._on_replaced()
        elif message["event"] in ("upgrade_failed", "reexec_failed"):
            self._on_failed(str(message.get("why", "the keeper's new version cannot be imported")))
