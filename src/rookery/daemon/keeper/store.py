"""The store of descriptors: what must outlive a manager, by name."""

from __future__ import annotations

import os

from rookery.errors import LinkError

LOCK = "lock"
LIFE = "life"


class DescriptorStore:
    """Copies of descriptors by name. lock, life: the keeper's own, which nobody may put or drop."""

    def __init__(self, *, lock: int, life: int) -> None:
        self._kept = {LOCK: lock, LIFE: life}

    def __getitem__(self, name: str) -> int:
        return self._kept[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kept

    def names(self) -> list[str]:
        """What is kept, sorted."""
        return sorted(self._kept)

    def keep(self, name: str, fd: int) -> None:
        """Keep a copy of fd under name; an earlier one of that name is closed. Raises LinkError, OSError."""
        if name in (LOCK, LIFE):
            raise LinkError(f"the name {name!r} is the keeper's own")
        copy = os.dup(fd)
        self.let_go(name)
        self._kept[name] = copy

    def restore(self, name: str, fd: int) -> None:
        """Take fd itself in, as it was before the keeper re-executed itself."""
        self._kept[name] = fd

    def all(self) -> dict[str, int]:
        """Every descriptor by its name."""
        return dict(self._kept)

    def let_go(self, name: str) -> None:
        """Close what is kept under name, if anything; lock and life stay."""
        if name in self._kept and name not in (LOCK, LIFE):
            os.close(self._kept.pop(name))
