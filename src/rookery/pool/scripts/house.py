"""The inside of a pool of script workers: as that of functions, with other workers."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from rookery.errors import UsageError
from rookery.pool.processes.drivers import Drivers
from rookery.pool.processes.house import House
from rookery.pool.scripts.engine import ScriptEngine
from rookery.pool.scripts.member import ScriptMember, WorkerOutput
from rookery.pool.scripts.starter import ScriptStarter
from rookery.pool.scripts.words import PlainWords, RookeryWords

if TYPE_CHECKING:
    from rookery.pool.future import LoopFuture, PoolFuture
    from rookery.pool.processes.crew import Crew
    from rookery.pool.processes.engine import Engine
    from rookery.pool.processes.member import Member
    from rookery.pool.processes.starter import Starter
    from rookery.pool.scripts.settings import ScriptSettings


_NOT_OURS: list[object] = []


class ScriptDrivers(Drivers):
    """The pool's thread alone reads: it has the channels."""

    def takes_over(self, future: PoolFuture[Any] | LoopFuture[Any]) -> None:
        """See Drivers."""

    def add(self, member: Member) -> None:
        """See Drivers."""

    def remove(self, member: Member) -> None:
        """See Drivers."""
        with self._engine.lock:
            member.close()

    def close(self) -> None:
        """See Drivers."""


class ScriptHouse(House):
    """See House."""

    engine_type: type[Engine] = ScriptEngine
    engine: ScriptEngine
    settings: ScriptSettings

    def __init__(self, settings: ScriptSettings) -> None:
        self._starter: ScriptStarter | None = None
        super().__init__(settings)
        self.engine.speak(PlainWords() if settings.protocol == "plain" else RookeryWords(), settings.codec)

    def _new_drivers(self, loop: asyncio.AbstractEventLoop) -> Drivers:
        return ScriptDrivers(self.engine, loop)

    def _new_starter(self) -> Starter:
        self._starter = ScriptStarter(self.settings, self.engine)
        return self._starter

    def leave_to_parent(self) -> None:
        """See House."""
        # Not to be collected here: what runs in the parent's loop would be ended in the middle.
        _NOT_OURS.append((self._crew, self._starter))
        self._starter = None
        super().leave_to_parent()

    def output(self, worker: str) -> WorkerOutput:
        """What the worker of that name has printed, or had when it ended. Raises UsageError for an unknown one."""
        members = {} if self._starter is None else self._starter.members
        if worker not in members:
            raise UsageError(f"there is no worker {worker!r}", hint=f"one of: {', '.join(members) or 'none'}")
        return members[worker].output

    def ask(self, timeout: float) -> Future[dict[str, Any]]:
        """What each ready worker answers to a status request; None where it does not in time."""
        found: Future[dict[str, Any]] = Future()
        if self.engine.words.is_plain:
            raise UsageError("the plain protocol has no status requests", hint="see status()")

        def nobody() -> None:
            if not found.done():
                found.set_result({})

        with self.engine.lock:
            if self._loop is None or self.is_closed.is_set():
                nobody()
                return found
            self._closed_calls.append(nobody)
        self._call("", lambda crew, _: crew.spawn(self._ask(crew, timeout, found, nobody)))
        return found

    async def _ask(self, crew: Crew, timeout: float, found: Future[dict[str, Any]], nobody: Any) -> None:  # noqa: ASYNC109
        members = [one for one in crew.members.values() if isinstance(one, ScriptMember) and one.is_ready]
        asked = {one.name: one.ask() for one in members if one.is_open}
        if asked:
            await asyncio.wait(asked.values(), timeout=timeout)
        answers = {name: future.result() if future.done() else None for name, future in asked.items()}
        for future in asked.values():
            future.cancel()
        with self.engine.lock:
            self._closed_calls.remove(nobody)
        if not found.done():
            found.set_result(answers)
