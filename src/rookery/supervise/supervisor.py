"""Supervisor: many units, started in order and stopped in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from rookery import errors
from rookery._base.clock import Clock, SystemClock
from rookery._base.ids import new_scope
from rookery.lifecycle.state import State
from rookery.process.local import LocalSpawner
from rookery.process.spec import SpawnSpec
from rookery.supervise.plumbing import PlainPlumbing, Plumbing
from rookery.supervise.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from rookery.lifecycle.restart import RestartPolicy
    from rookery.lifecycle.stop import StopPlan
    from rookery.process.protocols import Spawner
    from rookery.supervise.record import UnitEvent


_log = logging.getLogger(__name__)


class Supervisor:
    """Keeps children alive.

    ``async with Supervisor() as supervisor`` leaves nothing behind: everything is stopped on the way out, also when
    the block raises or is cancelled. Use it from one event loop.

    spawner: who starts processes, default this very process; scope: eight hexadecimal digits for the cookies.
    """

    def __init__(self, *, spawner: Spawner | None = None, scope: str | None = None, clock: Clock | None = None) -> None:
        self._spawner: Spawner = spawner or LocalSpawner()
        self._scope = scope or new_scope()
        self._clock: Clock = clock or SystemClock()
        self._units: dict[str, Unit] = {}
        self._listeners: list[Callable[[UnitEvent], None]] = []
        self._is_ending = False

    def add(
        self,
        name: str,
        what: SpawnSpec | Plumbing | tuple[str, ...] | list[str],
        *,
        restart: RestartPolicy | None = None,
        stop: StopPlan | None = None,
    ) -> Unit:
        """Add a unit, to be started after those added before it.

        what: a command (it gets this process's environment), a SpawnSpec, or Plumbing that makes one for each start.
        Raises UsageError for a name that is taken or holds a colon, and once the ``async with`` is being left.
        """
        if self._is_ending:
            raise errors.UsageError("this supervisor has ended", hint="make another one")
        if name in self._units:
            raise errors.UsageError(f"there is a unit {name!r} already", hint="choose another name, or remove it")
        if not name or ":" in name:
            raise errors.UsageError(f"{name!r} cannot be a unit's name", hint="one or more characters, no colon")
        if isinstance(what, tuple | list) and not isinstance(what, SpawnSpec):
            what = SpawnSpec(tuple(what), env=dict(os.environ), fds={0: 0, 1: 1, 2: 2})
        plumbing = PlainPlumbing(what) if isinstance(what, SpawnSpec) else what
        unit = Unit(
            name,
            plumbing,
            self._spawner,
            scope=self._scope,
            policy=restart,
            stop_plan=stop,
            clock=self._clock,
            on_event=self._tell,
        )
        self._units[name] = unit
        return unit

    def __getitem__(self, name: str) -> Unit:
        return self._units[name]

    def __contains__(self, name: object) -> bool:
        return name in self._units

    def __iter__(self) -> Iterator[Unit]:
        return iter(list(self._units.values()))

    def __len__(self) -> int:
        return len(self._units)

    def listen(self, listener: Callable[[UnitEvent], None]) -> None:
        """Call listener with each transition of each unit from now on, in order. What it raises is only logged."""
        self._listeners.append(listener)

    def _tell(self, event: UnitEvent) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # a process must not get lost for it
                _log.exception("a listener failed on %s", event)

    async def start(self, *names: str) -> None:
        """Start all units (or those named) in the order in which they were added.

        The next one is started when exec of the one before has succeeded. A unit that cannot be started is FATAL and
        does not keep the others from starting. Raises UsageError for a name that is none.
        """
        for unit in self._chosen(names):
            await unit.start()

    async def stop(self, *names: str) -> None:
        """Stop all units (or those named), the last added first.

        Raises UsageError for a name that is none, and StopFailed after having tried all.
        """
        await _each(unit.stop for unit in reversed(self._chosen(names)))

    def _chosen(self, names: tuple[str, ...]) -> list[Unit]:
        for name in names:
            if name not in self._units:
                raise errors.UsageError(f"there is no unit {name!r}", hint=f"there are: {', '.join(self._units)}")
        return [unit for unit in self if not names or unit.key in names]

    async def remove(self, name: str) -> None:
        """Stop a unit and forget it. Raises KeyError, StopFailed."""
        unit = self._units[name]
        await unit.end()
        self._units.pop(name, None)

    async def close(self) -> None:
        """Let go of all units without touching their processes."""
        for unit in self:
            await unit.close()
        self._units.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ending = asyncio.ensure_future(self._end())
        cancelled: asyncio.CancelledError | None = None
        while not ending.done():  # neither a first cancel nor a second one may leave processes behind
            try:
                await asyncio.wait({ending})
            except asyncio.CancelledError as again:
                cancelled = again
        ending.result()
        if cancelled is not None:
            raise cancelled

    async def _end(self) -> None:
        self._is_ending = True
        try:
            await _each(unit.end for unit in reversed(list(self)))
        except asyncio.CancelledError:  # the loop is being torn down: this is the last moment
            await asyncio.gather(*(unit.kill() for unit in self), return_exceptions=True)
            raise
        finally:
            await self.close()

    @property
    def is_quiet(self) -> bool:
        """Whether no unit has a process or is about to have one."""
        return all(unit.state in (State.STOPPED, State.EXITED, State.FATAL) for unit in self)


async def _each(works: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Do one after the other, all of them even if some fail. Raises the first failure."""
    failed: Exception | None = None
    for work in works:
        try:
            await work()
        except Exception as error:
            failed = failed or error
    if failed is not None:
        raise failed
