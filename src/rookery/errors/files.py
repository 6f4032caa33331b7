"""What can go wrong with shared memory, files of state and locks."""

from __future__ import annotations

from rookery.errors.base import RookeryError


class SharedMemoryError(RookeryError):
    """Shared memory could not be made, found or used."""


class FileDamaged(RookeryError):
    """A file of state cannot be read. path: which; copy: where what it holds is kept, or "" where that failed."""

    def __init__(self, path: str, why: str, *, copy: str = "") -> None:
        self.path = path
        self.copy = copy
        hint = f"a copy is {copy}; " if copy else ""
        super().__init__(f"{path} cannot be read", why=why, hint=f"{hint}mend it, or write a new value over it")


class LockTimeout(RookeryError):
    """A lock between processes was not free in time. lock: of what; after: seconds."""

    def __init__(self, lock: str, after: float, *, hint: str = "") -> None:
        self.lock = lock
        self.after = after
        super().__init__(f"the lock of {lock} was not free within {after:g} s", hint=hint)
