"""Addresses of Unix sockets, however long their paths are. Standard library only."""

from __future__ import annotations

import os

from rookery.errors import OperationFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_WITH_HANDLE = hasattr(os, "O_PATH")
LONGEST_ADDRESS = 107 if _WITH_HANDLE else 103
"""Bytes of a Unix socket's path that the kernel takes (Linux 107, macOS 103)."""


class connectable:  # noqa: N801 - a context manager that reads like a function (contextlib costs 2 ms of import)
    """An address for bind or connect, valid inside the ``with``, however long the path is.

    Longer paths than the kernel takes go through a handle on their folder. Raises OSError where the folder cannot be
    opened, OperationFailed where the path is too long and the system has no such handles.
    """

    hint = "choose a shorter path"

    def __init__(self, path: str) -> None:
        self._path = path
        self._folder: int | None = None

    def __enter__(self) -> str:
        size = len(os.fsencode(self._path))
        if size <= LONGEST_ADDRESS:
            return self._path
        if not _WITH_HANDLE:
            raise OperationFailed(
                f"the socket's path {self._path} is too long",
                why=f"{size} bytes, the system takes {LONGEST_ADDRESS}",
                hint=self.hint,
            )
        folder, name = os.path.split(self._path)
        self._folder = os.open(folder or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder}/{name}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None
