"""Member: a slot's worker of one version, kept alive by a Unit of its own.

During a reload a slot has two: the one that serves, and the next one.
"""

from __future__ import annotations

import asyncio
import random
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery._os import kernel
from rookery.cluster.plumbing import WorkerPlumbing
from rookery.cluster.probe import port_probe
from rookery.cluster.roll import to_its_end
from rookery.cluster.silence import Silence
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

_ABORT_WAIT = 2.0


class Member:
    """tell: called with (what, member, reason); on_message: with (member, message). One event loop.

    retired: it is to go, or has gone: what ends now was wanted; has_ended: nothing of it is left; limit: requests after
    which it is to be replaced.
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
        self.blame = ""
        """Why its present copy was ended by us."""
        self.limit: int | None = None
        self.lifetime: float | None = None
        self.silence = Silence()
        self._watch: asyncio.Task[None] | None = None
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
        why = self.blame or (after + str(last.status) if last and last.lifetime else self.unit.reason)
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

    def end_stuck(self, why: str) -> None:
        """Have it replaced by its unit: SIGABRT, at which our runner says where it is, then SIGKILL."""
        self.blame = why
        self._begin_watch(self._abort())

    # -- what happens to it -----------------------------------------------------------------------------------------

    def _changed(self, event: UnitEvent) -> None:
        if event.after is State.RUNNING:
            self.plumbing.started()
            settings = self.recipe.settings
            share = 1 - settings.max_requests_jitter * random.random()
            self.limit = None if settings.max_requests is None else max(1, round(settings.max_requests * share))
            self.lifetime = None if settings.max_lifetime is None else settings.max_lifetime * share
            self.silence = Silence()
            self.blame = ""
            if self.unit.pid is not None and self.unit.start_time is not None:
                self._guarded = self.unit.pid, self.unit.start_time
                GUARD.watch(*self._guarded, self.unit.cookie)
            self._tell("worker_started", self, event.reason)
            self._begin_watch(self._come_up())
        elif event.before in (State.RUNNING, State.STOPPING):
            if event.after is not State.STOPPING:
                self._end_watch()
                if self._guarded is not None:
                    GUARD.forget(*self._guarded)
                    self._guarded = None
                reason = f"{self.blame} ({event.reason})" if self.blame else event.reason
                self._tell("worker_exited", self, reason)
        elif event.after is State.FATAL:
            self._tell("worker_exited", self, event.reason)

    async def _come_up(self) -> None:
        settings = self.recipe.settings
        probe = self._probe()
        try:
            async with asyncio.timeout(settings.start_timeout):
                await self.unit.settled(crashes=self.unit.crashes, min_uptime=0.0)
        except TimeoutError:
            self.blame = f"it was not ready within {settings.start_timeout:g} s"
            if self._handshake:
                self.blame += f" (waiting for {self._handshake})"
            await self._abort()
            return
        finally:
            if probe is not None:
                probe.cancel()
        self.plumbing.serve()
        self._tell("worker_ready", self, "")

    def _probe(self) -> asyncio.Task[None] | None:
        settings, unit = self.recipe.settings, self.unit
        port = self._desk.listeners.port_of(self.slot)

        async def mark() -> None:
            if self._handshake == "notify-or-settled":
                await self._desk.clock.sleep(settings.policy.min_uptime)
            else:
                host = settings.bind[0].host
                await port_probe(host, port or 0, self._handshake.removeprefix("http:"), self._desk.clock)
            unit.mark_ready()

        if self._handshake in ("notify-or-settled", "port") or (
            self._handshake.startswith("http:") and settings.own_ports
        ):
            return asyncio.ensure_future(mark())
        return None

    async def _abort(self) -> None:
        pid, started = self.unit.pid, self.unit.start_time
        if pid is None or started is None:
            return
        with suppress(OSError):
            kernel.signal_process(pid, started, signal.SIGABRT)
        await asyncio.sleep(_ABORT_WAIT)
        with suppress(OSError):
            kernel.signal_process(pid, started, signal.SIGKILL)

    def _begin_watch(self, work: Any) -> None:
        self._end_watch()
        self._watch = asyncio.ensure_future(work)

    def _end_watch(self) -> None:
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        self._watch = None

    # -- what it says -----------------------------------------------------------------------------------------------

    def _words(self, words: dict[str, str]) -> None:
        if words.get("READY") == "1" and self._handshake not in ("channel", "port") and not self._wanted_line:
            self.unit.mark_ready()
        if "WATCHDOG" in words:
            self.silence.heard()

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
