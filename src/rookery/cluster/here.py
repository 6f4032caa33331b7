"""For the code in a worker: which one it is, and whether it is to leave. Standard library only.

from rookery.cluster import here
here.slot()          # 0 ... workers - 1; the next worker of the slot has the same
here.on_drain(stop)  # called once, when this worker is to take nothing new
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rookery.cluster import contract

if TYPE_CHECKING:
    from collections.abc import Callable

_callbacks: list[Callable[[], object]] = []
_is_draining = False


def slot() -> int | None:
    """This worker's place, from 0; None outside of a cluster."""
    return _number(contract.SLOT)


def worker_id() -> int | None:
    """This process's number among all workers that were ever started; None outside of a cluster."""
    return _number(contract.WORKER_ID)


def app() -> str:
    """The cluster's name; "" outside of one."""
    return os.environ.get(contract.APP, "")


def is_draining() -> bool:
    """Whether it was told to take nothing new and to finish."""
    return _is_draining


def on_drain(callback: Callable[[], object]) -> None:
    """Call it when that is said; at once where it has been said.

    In the main thread: from the event loop where there is one, between two steps of the program where there is none.
    """
    if _is_draining:
        callback()
    else:
        _callbacks.append(callback)


def begin_drain() -> bool:
    """For the runner: it has been said. Whether anybody wanted to hear of it."""
    global _is_draining  # noqa: PLW0603 - one process is one worker
    if not _is_draining:
        _is_draining = True
        for callback in _callbacks:
            callback()
    return bool(_callbacks)


def _number(name: str) -> int | None:
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else None
