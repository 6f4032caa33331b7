"""What a thread pool is made with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rookery._os import machine
from rookery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_BY_DEFAULT = 32


@dataclass(frozen=True, slots=True)
class ThreadSettings:
    """See ThreadPool; all checked."""

    name: str
    max_workers: int
    min_workers: int
    idle_timeout: float | None
    max_tasks_per_worker: int | None
    initializer: Callable[..., object] | None
    initargs: tuple[Any, ...]
    start_timeout: float
    max_queue: int | None
    when_full: Literal["wait", "raise"]
    max_errors: int | None

    def __post_init__(self) -> None:
        for name in ("max_tasks_per_worker", "max_queue", "max_errors"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UsageError(f"{name} is to be a number from 1, or None for no limit, not {value!r}")
        for name in ("idle_timeout", "start_timeout"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} is to be more than 0 seconds, not {value!r}")
        if self.when_full not in ("wait", "raise"):
            raise UsageError(f"when_full is 'wait' or 'raise', not {self.when_full!r}")
        if self.initializer is not None and not callable(self.initializer):
            raise TypeError("initializer must be a callable")


def check_size(minimum: Any, maximum: Any) -> int:
    """The minimum, which is not above the maximum. Raises ValueError for no worker at all, as Executors do, UsageError
    and TypeError for what is no number of threads either.
    """
    if isinstance(maximum, bool) or not isinstance(maximum, int):
        raise TypeError(f"max_workers is a number, not {maximum!r}")
    if maximum <= 0:
        raise ValueError("max_workers must be greater than 0")
    if isinstance(minimum, bool) or not isinstance(minimum, int) or minimum < 0:
        raise UsageError(f"min_workers is to be a number from 0, not {minimum!r}")
    return min(minimum, maximum)


def usual_size() -> int:
    """Threads mostly wait for something, so there are some more than CPUs; as concurrent.futures does."""
    return min(_MOST_BY_DEFAULT, math.ceil(machine.cpus()) + 4)
