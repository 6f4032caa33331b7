"""The parent's side of the heartbeat: seeing that a worker is stuck.

parent --a byte each period--> worker: its event loop (asyncio), or a thread of its own (blocking), sends it back
       <------the same byte---

A socket pair of its own: messages that wait on either side hold up no heartbeat, and no heartbeat a message.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from rookery._base.clock import SystemClock
from rookery.errors import UsageError
from rookery.ipc.hub_member import Health

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rookery._base.clock import Clock

OnUnresponsive = Literal["kill", "report"]
_ROUND = 256


def health_of(heartbeat: float | Health | None) -> Health | None:
    """A number is the period, and the time for an answer. Raises UsageError for one that is not more than 0."""
    if heartbeat is None or isinstance(heartbeat, Health):
        return heartbeat
    if not heartbeat > 0:
        raise UsageError(f"heartbeat is to be more than 0 s, not {heartbeat!r}")
    return Health(period=heartbeat, timeout=heartbeat)


def limit_of(health: Health) -> float:
    """Seconds of silence after which either side calls the other one silent."""
    return health.failure_threshold * max(health.period, health.timeout)


class Heart:
    """What is known of one worker. Belongs to the running event loop.

    sock: taken over. tell: "heartbeat_missed", "unresponsive", "responsive". is_expected: whether the worker is known
    to be there; else nothing counts before its first answer. missed: periods in a row without any answer; latency:
    seconds that the last answer took, None before.
    """

    def __init__(
        self,
        sock: socket.socket,
        health: Health,
        tell: Callable[[str], object],
        *,
        is_expected: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._sock = sock
        self._health = health
        self._tell = tell
        self._is_expected = is_expected
        self._clock = clock or SystemClock()
        self._loop = asyncio.get_running_loop()
        self._word = asyncio.Event()
        self._number = 0
        self._asked_at = self._heard_at = self._clock.monotonic()
        self.is_responsive = True
        self.missed = 0
        self.latency: float | None = None
        sock.setblocking(False)
        self._loop.add_reader(sock, self._take)

    @property
    def has_ended(self) -> bool:
        """Whether the worker has closed its end, or this one is closed."""
        return self._sock.fileno() < 0

    @property
    def silent_for(self) -> float:
        """Seconds since its last answer, or since the start."""
        return self._clock.monotonic() - self._heard_at

    async def beat(self, *, only_while_responsive: bool) -> None:
        """Ask each period. Returns when the worker has ended, or (if wanted) is unresponsive."""
        while True:
            self._ask()
            await self._answer()
            self._judge()
            if self.has_ended or (only_while_responsive and not self.is_responsive):
                return
            await self._clock.sleep(self._asked_at + self._health.period - self._clock.monotonic())

    def close(self) -> None:
        """Ask no more."""
        if not self.has_ended:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._word.set()

    def _ask(self) -> None:
        self._word.clear()
        self._asked_at = self._clock.monotonic()
        number = (self._number + 1) % _ROUND
        try:
            self._sock.send(bytes([number]))
            self._number = number
        except (BlockingIOError, InterruptedError):  # it has not read for so long that there is no room
            return
        except OSError:
            self.close()
            self._word.set()

    async def _answer(self) -> None:
        waiting = self._loop.create_task(self._word.wait())
        timer = self._loop.create_task(self._clock.sleep(self._health.timeout))
        try:
            await asyncio.wait([waiting, timer], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            timer.cancel()
        self._take()  # what came while this process was stopped or busy itself

    def _take(self) -> None:
        if self.has_ended:
            return
        try:
            answers = self._sock.recv(_ROUND)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            answers = b""
        if not answers:
            self.close()
            return
        self._heard_at = self._clock.monotonic()
        if answers[-1] == self._number:
            self.latency = self._heard_at - self._asked_at
        self._is_expected = True
        self.missed = 0
        self._word.set()
        if not self.is_responsive:
            self.is_responsive = True
            self._tell("responsive")

    def _judge(self) -> None:
        if self.has_ended or self._word.is_set() or not self._is_expected:
            return
        self.missed += 1
        self._tell("heartbeat_missed")
        if self.missed >= self._health.failure_threshold and self.is_responsive:
            self.is_responsive = False
            self._tell("unresponsive")
