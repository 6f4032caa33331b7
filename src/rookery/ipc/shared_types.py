"""What a shared array may hold: the names of its elements, and its shape."""

from __future__ import annotations

import math
import operator
import struct
from typing import NamedTuple

from rookery.errors import UsageError

DIMENSIONS = 8
CODES = {name: name for name in "?bBhHiIqQfd"} | {
    "bool": "?",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
    "int": "q",
    "float": "d",
    # As wide as this system's C says; one name for one layout.
    "l": "q" if struct.calcsize("l") == 8 else "i",
    "L": "Q" if struct.calcsize("L") == 8 else "I",
}
"""The element's code by all of its names."""


class Layout(NamedTuple):
    """An element's code (as in the module ``array``) and the shape."""

    code: str
    shape: tuple[int, ...]

    @property
    def length(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def item_size(self) -> int:
        """Bytes of an element."""
        return struct.calcsize(self.code)

    @property
    def bytes(self) -> int:
        """Bytes of all."""
        return self.length * self.item_size

    @property
    def is_integer(self) -> bool:
        """Whether atomic operations make sense."""
        return self.code in "bBhHiIqQ"

    @property
    def offset(self) -> int:
        """Half of the range of a signed type; 0 for an unsigned one. (value + offset & mask) - offset wraps."""
        return 1 << (8 * self.item_size - 1) if self.code.islower() else 0

    @property
    def mask(self) -> int:
        """All bits of an element."""
        return (1 << 8 * self.item_size) - 1


def layout(kind: object, shape: object) -> Layout:
    """What the arguments mean. Raises UsageError.

    kind: a code of the module ``array``, a name such as "int64", int, float, bool, or a NumPy dtype or scalar type.
    shape: the number of elements, or a sequence of up to eight sizes from 1.
    """
    # A dtype has a name ("int64"); a type has a __name__ ("int", numpy's "int64").
    name = kind if isinstance(kind, str) else getattr(kind, "name", None) or getattr(kind, "__name__", None)
    code = CODES.get(name) if isinstance(name, str) else None
    if code is None:
        raise UsageError(
            f"a shared array cannot hold {kind!r}",
            hint="use one of ? b B h H i I q Q f d, or a name such as int64, uint8 or float32",
        )
    try:
        sizes = tuple(map(operator.index, shape)) if isinstance(shape, (tuple, list)) else (operator.index(shape),)  # type: ignore[arg-type]
    except TypeError:
        sizes = ()
    if not 1 <= len(sizes) <= DIMENSIONS or min(sizes) < 1:
        raise UsageError(
            f"{shape!r} is no shape of a shared array",
            hint=f"give the number of elements, or up to {DIMENSIONS} sizes, each at least 1",
        )
    return Layout(code, sizes)
