"""What an instance's copies need around them, and who gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rookery.supervise.plumbing import Plumbing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from rookery.cluster.launch import Recipe
    from rookery.cluster.stats import Page
    from rookery.config.spec import AppSpec
    from rookery.process.spec import SpawnSpec


class Seat(NamedTuple):
    """A worker's place at its app's sockets.

    sockets: {descriptor of ours: its name in the store}; id: counts up over the app's workers; port: its own, or None;
    source: where connections are accepted for it, called with its page: what its runner is to know of them, and the
    descriptors that it is given besides.
    """

    recipe: Recipe
    slot: int
    id: int
    sockets: Mapping[int, str]
    addresses: tuple[str, ...]
    port: int | None
    source: Callable[[Page], Awaitable[tuple[dict[str, Any], dict[int, str]]]] | None = None


class Wants(NamedTuple):
    """Of one copy after the other of an instance.

    unit, instance: its id and index; spec: the app's; make_spec: its process without descriptors; paths: of the out
    and the err log; on_words: called with what it says on its notify socket; seat: where it is a worker of a clustered
    app, its place, asked for each copy (raises SpawnError); on_end: called when one has ended, before its page goes.
    """

    unit: str
    instance: int
    spec: Callable[[], AppSpec]
    make_spec: Callable[[], SpawnSpec]
    paths: Callable[[], tuple[str, str]]
    on_words: Callable[[dict[str, str]], None]
    seat: Callable[[], Awaitable[Seat]] | None = None
    on_end: Callable[[], None] = lambda: None


class Outfit(Plumbing, Protocol):
    """The plumbing of an instance's copies."""

    @property
    def page(self) -> Page | None:
        """Where a worker counts; None where there is none."""
        ...

    def write(self, data: bytes) -> None:
        """Put data into the app's stdin, all of it or nothing. Raises UsageError, OperationFailed."""
        ...


class Outfitter(Protocol):
    """Who gives instances their pipes."""

    def outfit(self, wants: Wants) -> Outfit:
        """The plumbing of one instance."""
        ...


class DescriptorKeep(Protocol):
    """Who keeps descriptors beyond this process."""

    async def put(self, names: Sequence[str], fds: Sequence[int]) -> None:
        """Store copies of descriptors. Raises LinkError."""
        ...

    async def get(self, names: Sequence[str]) -> dict[str, int]:
        """Copies of stored descriptors, for the caller to close; names that are not there are left out."""
        ...

    def drop(self, names: Sequence[str]) -> None:
        """Let go of stored descriptors."""
        ...
