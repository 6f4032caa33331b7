"""Work with the disk, away from the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def to_its_end(work: Callable[[], T]) -> T:
    """work() in a thread. It always comes to its end: who is cancelled meanwhile is told of it after that.

    Otherwise a lock would be given back while the thread still writes. The thread is one of its own: those of the loop
    may all be waiting for the very lock under which this is done.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            settle, outcome = done.set_exception, error
        else:
            settle, outcome = done.set_result, result  # type: ignore[assignment]
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, name="rookery-state-file", daemon=True).start()
    given_up: asyncio.CancelledError | None = None
    while not done.done():
        try:
            await asyncio.wait([done])
        except asyncio.CancelledError as error:
            given_up = error
    if given_up is not None:
        done.exception()  # it is looked at; that it was given up says more
        raise given_up
    return done.result()
