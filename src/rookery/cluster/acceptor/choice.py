"""Which worker gets a connection. Pure.

Each strategy is a function (address of the client, workers, last) -> index; workers is not empty and sorted by slot,
one for each slot; last is the slot that got the connection before, -1 for none.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Strategy: TypeAlias = "Callable[[Any, Sequence[Candidate], int], int]"

_SLACK = 16
_PATIENCE = 0.2
_KNOWN = 16384
_slot = attrgetter("slot")


class Candidate(Protocol):
    """slot: from 0; connections: that it has, or was passed and has not taken yet (waiting)."""

    @property
    def slot(self) -> int: ...  # noqa: D102
    @property
    def connections(self) -> int: ...  # noqa: D102
    @property
    def waiting(self) -> int: ...  # noqa: D102


class Taker(Protocol):
    """waiting: connections that it was passed; stalled: seconds for which it has taken none of them."""

    @property
    def waiting(self) -> int: ...  # noqa: D102
    @property
    def stalled(self) -> float: ...  # noqa: D102


S = TypeVar("S", bound=Taker)


class Worker(NamedTuple):
    """A worker as a function of the user's own sees it. See Candidate; id: of this process of the slot."""

    slot: int
    id: int
    connections: int
    waiting: int


def round_robin(address: Any, workers: Sequence[Candidate], last: int) -> int:  # noqa: ARG001
    """The next slot."""
    return bisect_right(workers, last, key=_slot) % len(workers)


def least_connections(address: Any, workers: Sequence[Candidate], last: int) -> int:  # noqa: ARG001
    """Who has the fewest; of equals the one whose turn it is."""
    first = bisect_right(workers, last, key=_slot)
    best, fewest = 0, -1
    for index in range(first, first + len(workers)):
        place = index % len(workers)
        count = workers[place].connections
        if fewest < 0 or count < fewest:
            best, fewest = place, count
    return best


def sticky(address: Any, workers: Sequence[Candidate], last: int) -> int:
    """The same slot for the same client, by its host.

    Where its slot is missing for a while only its own clients go elsewhere, and come back (rendezvous hashing). Who has
    no address (Unix sockets) takes turns.
    """
    if not address or isinstance(address, str | bytes):
        return round_robin(address, workers, last)
    return _place(str(address[0]), tuple(worker.slot for worker in workers))


@lru_cache(maxsize=_KNOWN)
def _place(host: str, slots: tuple[int, ...]) -> int:
    return max(range(len(slots)), key=lambda index: _score(host, slots[index]))


def _score(host: str, slot: int) -> int:
    return int.from_bytes(blake2b(f"{host}/{slot}".encode(), digest_size=8).digest(), "big")


def not_stalled(workers: Sequence[S]) -> list[S]:
    """Without those that take none, while others do: they are passed over until they take some again.

    In a rush all have much waiting, and nobody is left out.
    """
    most = _SLACK + 2 * min(worker.waiting for worker in workers)
    return [worker for worker in workers if worker.waiting <= most or worker.stalled <= _PATIENCE]


STRATEGIES: dict[str, Strategy] = {
    "round_robin": round_robin,
    "least_connections": least_connections,
    "sticky": sticky,
}


def of_yours(choose: Callable[[Any, Sequence[Worker]], int], complain: Callable[[str], object]) -> Strategy:
    """A function of the user's own as a strategy; where it fails the connection goes to the next slot."""

    def strategy(address: Any, workers: Sequence[Any], last: int) -> int:
        rows = tuple(Worker(worker.slot, worker.id, worker.connections, worker.waiting) for worker in workers)
        try:
            wanted = choose(address, rows)
        except Exception as error:
            complain(f"choosing a worker failed, the next one is taken: {type(error).__name__}: {error}")
        else:
            for index, row in enumerate(rows):
                if row.slot == wanted:
                    return index
            complain(f"{wanted!r} is none of the slots {[row.slot for row in rows]}, the next one is taken")
        return round_robin(address, workers, last)

    return strategy
