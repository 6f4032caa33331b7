"""The keeper's store of descriptors: what must outlive a manager."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LOCK = "lock"
LIFE = "life"
RESERVED = frozenset({LOCK, LIFE})
"""Names that nobody may put or drop."""


class Store:
    """Descriptors by name. lock: the home's lock.

    ``life`` is the reading end of a pipe to which nobody writes. Its end of file tells the collector that the keeper is
    gone, and that whoever comes next brings a collector of its own: two readers of one pipe would tear its lines.
    """

    def __init__(self, lock: int, *, life: tuple[int, int] | None = None) -> None:
        reading, self.life_writer = life or os.pipe()
        self._fds: dict[str, int] = {LOCK: lock, LIFE: reading}

    def keep(self, name: str, fd: int) -> None:
        """Keep a copy of fd under name; an earlier one of that name is closed."""
        self.let_go(name)
        if name not in RESERVED:
            self._fds[name] = os.dup(fd)

    def restore(self, name: str, fd: int) -> None:
        """Take fd itself in, as it was before the keeper re-executed itself."""
        self._fds[name] = fd

    def let_go(self, name: str) -> None:
        """Close what is kept under name, if anything; lock and life stay."""
        if name not in RESERVED:
            fd = self._fds.pop(name, None)
            if fd is not None:
                os.close(fd)

    def __getitem__(self, name: str) -> int:
        return self._fds[name]

    def __contains__(self, name: object) -> bool:
        return name in self._fds

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._fds)

    def items(self) -> Iterable[tuple[str, int]]:
        """All (name, descriptor)."""
        return self._fds.items()
