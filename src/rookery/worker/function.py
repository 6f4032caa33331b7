"""What runs in a child that was forked for ``package.module:function``."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any

from rookery.errors import UsageError
from rookery.worker import words
from rookery.worker.here import channel
from rookery.worker.here_sync import connect

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Import the function, tell the parent that it is there, and run it. Its arguments are in sys.argv.

    It is called with the channel, and with the parent's data where it takes a second argument.
    """
    name = sys.argv.pop(1)
    sys.argv[0] = name
    for entry in os.environ.pop(words.PATH, "").split(os.pathsep):
        if entry and entry not in sys.path:
            sys.path.append(entry)
    function = find(name)
    if inspect.iscoroutinefunction(function):
        asyncio.run(_run(function))
        return
    with connect(ready=False) as parent:
        has_data = wants_data(function)
        parent.ready()
        function(parent, parent.data) if has_data else function(parent)


async def _run(function: Callable[..., Any]) -> None:
    has_data = wants_data(function)
    async with channel(ready=False) as parent:
        await parent.ready()
        await (function(parent, parent.data) if has_data else function(parent))


def find(name: str) -> Callable[..., Any]:
    """What ``package.module:function`` names. Raises UsageError, and whatever the import raises."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise UsageError(f"{module} has no function {path!r}")
    return found  # type: ignore[no-any-return]


def wants_data(function: Callable[..., Any]) -> bool:
    """Whether it takes the initial data beside its channel."""
    try:
        inspect.signature(function).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True
