"""What a unit needs around each copy of its process: a spec before, last words after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rookery.process.spec import SpawnSpec


class Plumbing(Protocol):
    """Prepares pipes and sockets of one generation, and puts them away when it is gone."""

    async def prepare(self, generation: int) -> SpawnSpec:
        """The spec for this generation, with its descriptors in place. Raises SpawnError."""
        ...

    async def finish(self, generation: int) -> tuple[str, ...]:
        """All of that generation has ended: take its output to the end, let go, return its last stderr lines."""
        ...


class PlainPlumbing:
    """The same spec each time and nothing to put away."""

    def __init__(self, spec: SpawnSpec) -> None:
        self._spec = spec

    async def prepare(self, generation: int) -> SpawnSpec:  # noqa: ARG002
        """See Plumbing."""
        return self._spec

    async def finish(self, generation: int) -> tuple[str, ...]:  # noqa: ARG002
        """See Plumbing."""
        return ()
