"""The one way to wait for what only polling can see."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_PAUSE = 0.01


def wait_until(condition: Callable[[], T], deadline: float = 10.0, what: str = "the condition") -> T:
    """Call condition until it gives something true, and return that.

    deadline: seconds; what: for the failure, which also tells what was seen last. Raises AssertionError.
    """
    end = time.monotonic() + deadline
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come about within {deadline:g} s; seen last: {seen!r}")
        time.sleep(_PAUSE)
