"""Pools of processes and threads: tasks in, results out.

Names are imported when they are first used: a worker is started through this package, and needs few of them.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.pool.process_pool import ProcessPool as ProcessPool
    from rookery.pool.progress import report_progress as report_progress
    from rookery.pool.script_tasks import serve_tasks as serve_tasks
    from rookery.pool.script_tasks import task as task
    from rookery.pool.thread_pool import ThreadPool as ThreadPool
    from rookery.pool.thread_worker import ThreadWorker as ThreadWorker

_PUBLIC = {
    "ProcessPool": "rookery.pool.process_pool",
    "ThreadPool": "rookery.pool.thread_pool",
    "ThreadWorker": "rookery.pool.thread_worker",
    "report_progress": "rookery.pool.progress",
    "serve_tasks": "rookery.pool.script_tasks",
    "task": "rookery.pool.script_tasks",
}

__all__ = ["ProcessPool", "ThreadPool", "ThreadWorker", "report_progress", "serve_tasks", "task"]


def __getattr__(name: str) -> object:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'rookery.pool' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value
