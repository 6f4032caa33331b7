"""Our own environment for a child, encoded once as long as nobody changes it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Environment(dict[str, str]):
    """A whole environment, with its block as the kernel wants it. Not to be changed afterwards."""

    __slots__ = ("block",)

    def __init__(self, values: Mapping[str, str], block: list[bytes]) -> None:
        super().__init__(values)
        self.block = block


class _Ours:
    """What os.environ was when it was last looked at: decoding and encoding it takes as long as half a fork."""

    def __init__(self) -> None:
        self._seen: dict[bytes, bytes] | None = None
        self._values: dict[str, str] = {}
        self._block: list[bytes] = []

    def look(self) -> tuple[dict[str, str], list[bytes]]:
        # The interpreter's own table, a private name; without it everything is done anew each time.
        seen = getattr(os.environ, "_data", None)
        if seen is None or seen != self._seen:
            self._values = dict(os.environ)
            self._block = [os.fsencode(f"{key}={value}") for key, value in self._values.items()]
            self._seen = None if seen is None else dict(seen)
        return self._values, self._block


_ours = _Ours()


def inherited(name: str, value: str) -> Environment:
    """Our environment with one variable set otherwise."""
    values, block = _ours.look()
    prefix = os.fsencode(name) + b"="
    if name in values:
        block = [entry for entry in block if not entry.startswith(prefix)]
    env = Environment(values, [*block, prefix + os.fsencode(value)])
    env[name] = value
    return env
