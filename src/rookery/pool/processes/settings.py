"""What a process pool was asked to be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rookery._base.units import parse_size
from rookery._os import machine
from rookery.errors import UsageError
from rookery.lifecycle.stop import GRACE_POOL_WORKER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(slots=True)
class PoolSettings:
    """See ProcessPool; checked here. min_workers and max_workers change when the pool is resized."""

    max_workers: int | None = None
    min_workers: int = 2
    idle_timeout: float | None = 300.0
    max_tasks_per_worker: int | Literal["auto"] | None = "auto"
    initializer: Callable[..., object] | None = None
    initargs: tuple[Any, ...] = ()
    preload: Sequence[str] = ()
    start_timeout: float = 10.0
    max_queue: int | None = None
    when_full: Literal["wait", "raise"] = "wait"
    soft_memory: int | str | None = None
    max_memory: int | str | None = None
    max_errors: int | None = 5
    graceful_timeout: float = GRACE_POOL_WORKER
    env: Mapping[str, str | None] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.max_workers is None:
            self.max_workers = max(1, math.floor(machine.cpus()))
        self.resize(self.min_workers, self.max_workers)
        for name in ("idle_timeout", "start_timeout", "graceful_timeout"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UsageError(f"{name} is to be 0 seconds or more, not {value!r}")
        for name in ("max_tasks_per_worker", "max_queue", "max_errors"):
            value = getattr(self, name)
            if name == "max_tasks_per_worker" and value == "auto":
                continue
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UsageError(f"{name} is to be a number from 1, or None for no limit, not {value!r}")
        if self.initializer is not None and not callable(self.initializer):
            raise TypeError("initializer must be a callable")
        if self.when_full not in ("wait", "raise"):
            raise UsageError(f"when_full is 'wait' or 'raise', not {self.when_full!r}")
        for name in ("soft_memory", "max_memory"):
            value = getattr(self, name)
            if value is not None:
                try:
                    setattr(self, name, parse_size(value))
                except ValueError as error:
                    raise UsageError(f"{name}: {error}") from None

    def resize(self, min_workers: Any, max_workers: Any) -> None:
        """Other bounds. Raises ValueError for less than one worker at most, as Executors do."""
        if isinstance(max_workers, bool) or not isinstance(max_workers, int):
            raise TypeError(f"max_workers is a number, not {max_workers!r}")
        if max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if isinstance(min_workers, bool) or not isinstance(min_workers, int) or min_workers < 0:
            raise UsageError(f"min_workers is to be a number from 0, not {min_workers!r}")
        self.max_workers = max_workers
        self.min_workers = min(min_workers, max_workers)

    @property
    def most(self) -> int:
        """max_workers."""
        assert self.max_workers is not None
        return self.max_workers
