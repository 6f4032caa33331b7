"""Ending several children at once, whoever is cancelled, and however often.

A task that is cancelled before its first step never runs, so nothing that must happen is left to a task alone:
asyncio.gather(*(child.stop() for child in children)) forgets them all where a loop is torn down in that very turn.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from typing import Any

    from rookery.process.child import Child

T = TypeVar("T")


async def end_all(children: Iterable[Child[Any]]) -> None:
    """Stop all of them at once, as their options say, and wait for it; a cancellation kills at once and is swallowed.

    For who has been cancelled already. What a child's result would raise is not raised.
    """
    waiting = list(children)
    for child in waiting:
        child.begin_end()
    while waiting:
        try:
            with suppress(Exception):
                await waiting[0].result(check=False)
            del waiting[0]
        except asyncio.CancelledError:  # impatient
            for child in waiting:
                child.hurry()


async def together(children: Iterable[Child[Any]], work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all the work at once, to the end of each; what it returns, or the first error in this order.

    Cancelled, or where a part of it is, all children are ended before that goes on.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        if tasks:
            await asyncio.wait(tasks)
        return [task.result() for task in tasks]
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await end_all(children)
        while not all(task.done() for task in tasks):
            with suppress(asyncio.CancelledError):
                await asyncio.wait(tasks)
        raise
    finally:
        for task in tasks:
            if task.done() and not task.cancelled():
                task.exception()  # looked at: of several errors one comes out
