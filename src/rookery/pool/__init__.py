"""Pools of processes and threads: tasks in, results out.

Names are imported when they are first used: a worker is started through this package, and needs few of them.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.pool.processes.process_pool import ProcessPool as ProcessPool
    from rookery.pool.progress import report_progress as report_progress
    from rookery.pool.scripts.tasks import serve_tasks as serve_tasks
    from rookery.pool.scripts.tasks import task as task
    from rookery.pool.threads.thread_pool import ThreadPool as ThreadPool
    from rookery.pool.threads.thread_worker import ThreadWorker as ThreadWorker

_PUBLIC = {
    "ProcessPool": "rookery.pool.processes.process_pool",
    "ThreadPool": "rookery.pool.threads.thread_pool",
    "ThreadWorker": "rookery.pool.threads.thread_worker",
    "report_progress": "rookery.pool.progress",
    "serve_tasks": "rookery.pool.scripts.tasks",
    "task": "rookery.pool.scripts.tasks",
}

__all__ = ["ProcessPool", "ThreadPool", "ThreadWorker", "report_progress", "serve_tasks", "task"]


def __getattr__(name: str) -> object:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'rookery.pool' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value
