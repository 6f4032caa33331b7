"""Pools of processes and threads: tasks in, results out.

Names are imported when they are first used: a worker is started through this package, and needs few of them.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.pool.process_pool import ProcessPool as ProcessPool
    from rookery.pool.progress import report_progress as report_progress

_PUBLIC = {
    "ProcessPool": "rookery.pool.process_pool",
    "report_progress": "rookery.pool.progress",
}

__all__ = ["ProcessPool", "report_progress"]


def __getattr__(name: str) -> object:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'rookery.pool' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value
