"""Names for processes of ours: the scope and the cookie.

The cookie ``ROOKERY_UNIT=<scope>:<unit>:<generation>`` stands in the environment of every process that we start
and of what it starts in turn; stop, sweep, sampler and adoption attribute strays by it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

COOKIE = "ROOKERY_UNIT"
_MOST_DIGITS = 18


def new_scope() -> str:
    """Eight hexadecimal digits that tell one home (or one library process) from another."""
    return os.urandom(4).hex()


class Cookie(NamedTuple):
    """Whose process it is. unit holds no colon."""

    scope: str
    unit: str
    generation: int

    def __str__(self) -> str:
        return f"{self.scope}:{self.unit}:{self.generation}"


def parse_cookie(text: str) -> Cookie | None:
    """The cookie in an environment value, or None where it is none of ours (anybody can set the variable)."""
    parts = text.split(":")
    if len(parts) != 3 or not all(parts):
        return None
    scope, unit, generation = parts
    if not (generation.isascii() and generation.isdecimal() and len(generation) <= _MOST_DIGITS):
        return None
    return Cookie(scope, unit, int(generation))
