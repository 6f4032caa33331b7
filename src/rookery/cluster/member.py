"""Member: a slot's worker of one version, kept alive by a Unit of its own.

During a reload a slot has two: the one that serves, and the next one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rookery.cluster.care import Care
from rookery.cluster.plumbing import WorkerPlumbing
from rookery.cluster.roll import to_its_end
from rookery.errors import WorkerNotReady
from rookery.lifecycle.state import State
from rookery.process.guard import GUARD
from rookery.supervise.unit import Unit
from rookery.worker import words as worker_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.cluster import stats
    from rookery.cluster.desk import Desk
    from rookery.cluster.events import Kind
    from rookery.cluster.launch import Recipe
    from rookery.supervise.record import UnitEvent


class Member:
    """tell: called with (what, member, reason); on_message: with (member, message). One event loop.

    retired: it is to go, or has gone: what ends now was wanted; has_ended: nothing of it is left.
    """

    def __init__(
        self,
        desk: Desk,
        recipe: Recipe,
        slot: int,
        *,
        tell: Callable[[Kind, Member, str], None],
        on_message: Callable[[Member, Any], None],
    ) -> None:
        settings = recipe.settings
        self.recipe = recipe
        self.slot = slot
        self._desk = desk
        self._tell = tell
        self._on_message = on_message
        self._handshake = settings.handshake
        self._wanted_line = b""
        if self._handshake.startswith("line:"):
            self._wanted_line = self._handshake.removeprefix("line:").encode()
        self._seen = b""
        self.plumbing = WorkerPlumbing(
            desk,
            recipe,
            slot,
            on_words=self._words,
            on_message=self._message,
            on_line=self._output if self._wanted_line else None,
        )
        self.unit = Unit(
            desk.next_key(slot),
            self.plumbing,
            desk.spawner,
            scope=desk.scope,
            policy=settings.policy,
            stop_plan=settings.stop_plan,
            clock=desk.clock,
            on_event=self._changed,
            awaits_ready=lambda: bool(self._handshake),
        )
        self.retired = False
        self.has_ended = False
        self._ending: asyncio.Task[None] | None = None
        self.care = Care(
            self.unit,
            lambda: settings,
            desk.clock,
            port=lambda: desk.listeners.port_of(slot),
            on_ready=self._is_up,
        )
        self._guarded: tuple[int, int] | None = None

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def id(self) -> int:
        """The present copy's, the last one's where there is none."""
        return self.plumbing.id

    @property
    def pid(self) -> int | None:
        """Of the present copy."""
        return self.unit.pid

    @property
    def now(self) -> stats.Numbers | None:
        """What the present copy has counted."""
        return None if self.plumbing.page is None else self.plumbing.page.read()

    @property
    def numbers(self) -> stats.Numbers:
        """What all copies of it have counted."""
        now = self.now
        return self.plumbing.before if now is None else self.plumbing.before.plus(now)

    # -- its life ---------------------------------------------------------------------------------------------------

    async def up(self) -> None:
        """Start it; return when it is ready.

        Raises WorkerNotReady; then nothing of it is left. Cancelled: the same.
        """
        crashes = self.unit.crashes
        try:
            await self.unit.start()
            if await self.unit.settled(crashes=crashes, min_uptime=0.0):
                self.plumbing.serve()  # before the old one leaves: the slot is never without one
                return
            raise self._not_ready()
        except BaseException:
            self.retired = self.has_ended = True
            await to_its_end(self._kill())
            raise

    async def _kill(self) -> None:
        await self.unit.kill()
        await self.unit.end()

    async def prove(self, seconds: float) -> None:
        """Return when it has stayed up so long. Raises WorkerNotReady where it fell."""
        unit = self.unit
        if not await unit.settled(crashes=unit.crashes, min_uptime=(unit.uptime or 0.0) + seconds, ready=False):
            raise self._not_ready(after="it was ready, and then ")

    def _not_ready(self, after: str = "") -> WorkerNotReady:
        last = self.unit.last_exit
        why = self.care.blame or (after + str(last.status) if last and last.lifetime else self.unit.reason)
        code = None if last is None else last.status.returncode
        return WorkerNotReady(self.slot, why, returncode=code, stderr=() if last is None else last.stderr)

    async def down(self) -> None:
        """Drain it, and end it, once for all who ask; it cannot be started again. Raises StopFailed."""
        self.retired = True
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._drain())
        await asyncio.shield(self._ending)

    async def _drain(self) -> None:
        if not self.has_ended:
            self.plumbing.drain()
            await self.unit.end()
            self.has_ended = True

    # -- what happens to it -----------------------------------------------------------------------------------------

    def _changed(self, event: UnitEvent) -> None:
        if event.after is State.RUNNING:
            self.plumbing.started()
            if self.unit.pid is not None and self.unit.start_time is not None:
                self._guarded = self.unit.pid, self.unit.start_time
                GUARD.watch(*self._guarded, self.unit.cookie)
            self._tell("worker_started", self, event.reason)
            self.care.began()
        elif event.before in (State.RUNNING, State.STOPPING):
            if event.after is not State.STOPPING:
                self.care.ended()
                if self._guarded is not None:
                    GUARD.forget(*self._guarded)
                    self._guarded = None
                reason = f"{self.care.blame} ({event.reason})" if self.care.blame else event.reason
                self._tell("worker_exited", self, reason)
        elif event.after is State.FATAL:
            self._tell("worker_exited", self, event.reason)

    def _is_up(self) -> None:
        self.plumbing.serve()
        self._tell("worker_ready", self, "")

    # -- what it says -----------------------------------------------------------------------------------------------

    def _words(self, words: dict[str, str]) -> None:
        self.care.hear(words)

    def _message(self, message: Any) -> None:
        ready = worker_words.is_ready(message) or worker_words.is_word(message, "ready")
        if self._handshake == "channel" and ready and not self.unit.is_ready:
            self.unit.mark_ready()
        elif not worker_words.is_ready(message):
            self._on_message(self, message)

    def _output(self, data: bytes) -> None:
        if self.unit.is_ready:
            return
        self._seen = (self._seen + data)[-65536:]
        if self._wanted_line in self._seen:
            self._seen = b""
            self.unit.mark_ready()
