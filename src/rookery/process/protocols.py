"""The two edges that Unit, stop plan, pools and clusters know: who starts a process, and what holds one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rookery.lifecycle.exit import ExitStatus
    from rookery.process.spec import SpawnSpec


class Handle(Protocol):
    """A process that is ours, running or ended."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    @property
    def start_time(self) -> int:
        """In ticks since boot; with the pid it names the process for ever."""
        ...

    async def wait(self) -> ExitStatus:
        """How it ended. Many may wait at once, and cancelling one disturbs nobody."""
        ...

    def signal(self, number: int) -> bool:
        """Signal it; False where it has ended. A pid that was used again is never hit."""
        ...

    def close(self) -> None:
        """Let go of it (its exit has been taken note of). Does not end it."""
        ...


class Spawner(Protocol):
    """Who starts processes: this process itself, or the keeper."""

    async def spawn(self, spec: SpawnSpec, key: str, generation: int) -> Handle:
        """Start it, once for each (key, generation): asked again, the one that runs is returned.

        Raises SpawnError; then nothing is left behind. A cancelled call leaves nothing behind either.
        """
        ...

    def tree(self, handle: Handle, cookie: str) -> Tree:
        """The handle's tree; cookie: the value of ROOKERY_UNIT that it was started with."""
        ...


class Tree(Protocol):
    """A process with all that descends from it or carries its cookie."""

    def members(self) -> list[tuple[int, int]]:
        """(pid, start time) of everything alive, the leader first where it lives."""
        ...

    def signal(self, member: tuple[int, int], number: int) -> bool:
        """Signal one member; False where it is gone."""
        ...
