"""The file of a StateFile: bytes from it and into it, values from them and into them. Everything here blocks."""

from __future__ import annotations

import copy
import os
import stat
from typing import TYPE_CHECKING, Any

from rookery._base import atomic
from rookery.errors import FileDamaged, UsageError

if TYPE_CHECKING:
    from rookery.ipc.state_codecs import Codec


class Unreadable(Exception):
    """What a codec does not take: its data, and why. Never leaves StateFile, which makes FileDamaged of it."""

    def __init__(self, data: bytes, why: str) -> None:
        super().__init__(why)
        self.data = data


class Disk:
    """See StateFile. Locks nothing."""

    def __init__(self, path: str, codec: Codec, default: Any, max_size: int, mode: int) -> None:
        self.path = path
        self._codec = codec
        self._default = default
        self._max_size = max_size
        self._mode = mode

    def read(self) -> Any:
        """The value, or a copy of the default where there is no file. Raises FileDamaged, Unreadable, OSError."""
        return self.decode(self.load())

    def load(self) -> bytes | None:
        """What stands in the file, None where there is none. Raises FileDamaged, OSError."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe in its place blocks nobody
        except FileNotFoundError:
            return None
        with open(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise FileDamaged(self.path, "it is no plain file")
            data = file.read(self._max_size + 1)
        if len(data) > self._max_size:
            raise FileDamaged(self.path, f"it has {found.st_size} bytes, allowed are {self._max_size}")
        return data

    def decode(self, data: bytes | None) -> Any:
        """Their value; a copy of the default for None. Raises Unreadable."""
        if data is None:
            return copy.deepcopy(self._default)
        try:
            return self._codec.decode(data)
        except Exception as error:
            raise Unreadable(data, str(error)) from error

    def encode(self, value: Any) -> bytes:
        """The bytes of a value. Raises UsageError for what is too large or not for this codec."""
        data = self._codec.encode(value)
        if len(data) > self._max_size:
            raise UsageError(
                f"the value has {len(data)} bytes, {self.path} takes {self._max_size}",
                hint="give StateFile a larger max_size",
            )
        return data

    def replace(self, data: bytes) -> None:
        """Put bytes into the file; under the lock. Raises OSError."""
        try:
            mode = stat.S_IMODE(os.stat(self.path).st_mode)
        except FileNotFoundError:
            mode = self._mode
        atomic.replace(self.path, data, mode=mode)

    def keep(self, data: bytes) -> str:
        """Put what cannot be read aside; under the lock. Where it is, or "" where that failed."""
        place = f"{self.path}.damaged"
        try:
            atomic.replace(place, data)
        except OSError:
            return ""
        return place

    def damaged(self, what: Unreadable, place: str) -> FileDamaged:
        """The error for it."""
        return FileDamaged(self.path, str(what), copy=place)
