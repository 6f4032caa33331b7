"""Our own environment for a child, encoded once as long as nobody changes it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from rookery import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Environment(Mapping[str, str]):
    """Ours with one variable set otherwise, and its block as the kernel wants it.

    A look at ours, not a copy: one would touch each of the strings for every child.
    """

    __slots__ = ("_name", "_value", "_values", "block")

    def __init__(self, values: Mapping[str, str], name: str, value: str, block: list[bytes]) -> None:
        self._values = values
        self._name = name
        self._value = value
        self.block = block

    def __getitem__(self, name: str) -> str:
        return self._value if name == self._name else self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values.keys() | {self._name})

    def __len__(self) -> int:
        return len(self._values.keys() | {self._name})


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
            # Copied first: what another thread changes meanwhile is seen the next time.
            now = None if seen is None else dict(seen)
            values = dict(os.environ)
            block = [os.fsencode(f"{key}={value}") for key, value in values.items()]
            self._seen, self._values, self._block = now, values, block
            return values, block
        return self._values, self._block


_ours = _Ours()


def inherited(name: str, value: str) -> Environment:
    """Our environment with one variable set otherwise."""
    values, block = _ours.look()
    entry = os.fsencode(f"{name}={value}")
    if name in values:
        prefix = os.fsencode(name) + b"="
        block = [other for other in block if not other.startswith(prefix)]
    return Environment(values, name, value, [*block, entry])


def our_value(name: str, default: str) -> str:
    """One variable of ours; what os.environ.get says, sooner."""
    return _ours.look()[0].get(name, default)


def encoded(env: Mapping[str, str] | None, argv: Sequence[str]) -> list[bytes] | None:
    """As the kernel wants it; None stays None. Raises SpawnError, which names argv."""
    if env is None:
        return None
    if isinstance(env, Environment):
        return env.block
    block = []
    for key, value in env.items():
        try:
            entry = os.fsencode(f"{key}={value}")
        except UnicodeEncodeError:
            entry = b"\0"
        if b"\0" in entry or "=" in key or not key:
            raise errors.SpawnError(f"the environment variable {key!r} cannot be passed on", argv=argv)
        block.append(entry)
    return block
