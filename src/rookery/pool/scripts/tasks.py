"""In a Python script that is a worker of a pool: which tasks it knows, and serving them. Imports no asyncio."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from rookery.errors import UsageError
from rookery.pool.scripts.serving import BlockingServing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

F = TypeVar("F", bound="Callable[..., Any]")

_HANDLERS: dict[str, Callable[[Any], Any]] = {}


def task(name: str) -> Callable[[F], F]:
    """``@task("resize")``: the function, plain or a coroutine function, does the tasks of that name.

    It gets their data, and what it returns is the result: what JSON knows, and bytes. What it raises fails the task.
    Raises UsageError for a name that is taken.
    """
    if not isinstance(name, str):
        raise UsageError("a task has a name", hint='@task("resize")')

    def note(function: F) -> F:
        if _HANDLERS.setdefault(name, function) is not function:
            raise UsageError(f"there is a task {name!r} already")
        return function

    return note


def serve_tasks(*, status: Callable[[], Mapping[str, Any]] | None = None) -> None:
    """Do the tasks that the pool gives, one at a time, until it says that it was enough.

    status: what to add to the answers to status requests, which have pid, tasks, errors and uptime. Where one of the
    functions is a coroutine function all run in an event loop, which answers those requests in the middle of a task
    too. SIGTERM: the task at work is finished first. Raises UsageError where no pool has started this program.
    """
    if any(inspect.iscoroutinefunction(one) for one in _HANDLERS.values()):
        importlib.import_module("rookery.pool.scripts.serving_async").serve(_HANDLERS, status)
    else:
        BlockingServing(_HANDLERS, status).serve()
