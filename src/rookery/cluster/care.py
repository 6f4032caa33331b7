"""Care of one worker's present copy: it is to be ready in time, then to go on saying something, until its limits."""

from __future__ import annotations

import asyncio
import random
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery._os import kernel
from rookery.cluster.probe import port_probe
from rookery.cluster.silence import Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rookery._base.clock import Clock
    from rookery.cluster.settings import Settings
    from rookery.supervise.unit import Unit

_ABORT_WAIT = 2.0


class Care:
    """settings, port: asked for each copy anew (port: that is the worker's alone, or None); on_ready: called when a
    copy is. One event loop.

    blame: why the present copy was ended by us, or ""; limit: requests after which it is to be replaced; lifetime:
    seconds after which; silence: how long it has said nothing.
    """

    def __init__(
        self,
        unit: Unit,
        settings: Callable[[], Settings],
        clock: Clock,
        *,
        port: Callable[[], int | None],
        on_ready: Callable[[], None],
    ) -> None:
        self._unit = unit
        self._settings = settings
        self._clock = clock
        self._port = port
        self._on_ready = on_ready
        self.blame = ""
        self.limit: int | None = None
        self.lifetime: float | None = None
        self.silence = Silence()
        self._watch: asyncio.Task[None] | None = None

    def began(self) -> None:
        """A copy runs."""
        settings = self._settings()
        share = 1 - settings.max_requests_jitter * random.random()
        self.limit = None if settings.max_requests is None else max(1, round(settings.max_requests * share))
        self.lifetime = None if settings.max_lifetime is None else settings.max_lifetime * share
        self.silence = Silence()
        self.blame = ""
        self._begin_watch(self._come_up())

    def ended(self) -> None:
        """It runs no more, or we look after it no more."""
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        self._watch = None

    def end_stuck(self, why: str) -> None:
        """Have it replaced by its unit: SIGABRT, at which our runner says where it is, then SIGKILL."""
        self.blame = why
        self._begin_watch(self._abort())

    def hear(self, words: Mapping[str, str]) -> None:
        """It said something on its notify socket."""
        handshake = self._settings().handshake
        if words.get("READY") == "1" and handshake not in ("channel", "port") and not handshake.startswith("line:"):
            self._unit.mark_ready()
        if "WATCHDOG" in words:
            self.silence.heard()

    async def _come_up(self) -> None:
        settings = self._settings()
        probe = self._probe(settings)
        try:
            async with asyncio.timeout(settings.start_timeout):
                await self._unit.settled(crashes=self._unit.crashes, min_uptime=0.0)
        except TimeoutError:
            self.blame = f"it was not ready within {settings.start_timeout:g} s"
            if settings.handshake:
                self.blame += f" (waiting for {settings.handshake})"
            await self._abort()
            return
        finally:
            if probe is not None:
                probe.cancel()
        self._on_ready()

    def _probe(self, settings: Settings) -> asyncio.Task[None] | None:
        handshake, unit, port = settings.handshake, self._unit, self._port()

        async def mark() -> None:
            if handshake == "notify-or-settled":
                await self._clock.sleep(settings.policy.min_uptime)
            else:
                await port_probe(settings.bind[0].host, port or 0, handshake.removeprefix("http:"), self._clock)
            unit.mark_ready()

        if handshake in ("notify-or-settled", "port") or (handshake.startswith("http:") and settings.own_ports):
            return asyncio.ensure_future(mark())
        return None

    async def _abort(self) -> None:
        pid, started = self._unit.pid, self._unit.start_time
        if pid is None or started is None:
            return
        with suppress(OSError):
            kernel.signal_process(pid, started, signal.SIGABRT)
        await asyncio.sleep(_ABORT_WAIT)
        with suppress(OSError):
            kernel.signal_process(pid, started, signal.SIGKILL)

    def _begin_watch(self, work: Any) -> None:
        self.ended()
        self._watch = asyncio.ensure_future(work)
