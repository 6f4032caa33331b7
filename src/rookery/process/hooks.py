"""Being told what happens to this very process: signals, its end, errors that nobody caught.

Each function takes a callback and returns a function that takes it away again. Several may be told of one thing, and
what was told before them (an earlier handler) is still told after them.
"""

from __future__ import annotations

import asyncio
import atexit
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    Remove = Callable[[], None]

_on_signal: dict[tuple[asyncio.AbstractEventLoop, int], list[Callable[[int], object]]] = {}
_before: dict[tuple[asyncio.AbstractEventLoop, int], Any] = {}
"""The handlers that were there."""


def on_exit(callback: Callable[[], object]) -> Remove:
    """Call it when the interpreter ends by itself (not by a signal that nobody handles). Last come, first called."""

    def call() -> None:  # one of its own: the same callback may be given twice, and taken away once
        callback()

    atexit.register(call)
    return lambda: atexit.unregister(call)


def on_signal(number: int, callback: Callable[[int], object]) -> Remove:
    """Call it in the running event loop, with the number, when the signal comes. Main thread only.

    The default action is off as long as anybody wants to hear of it; then what was there before is put back. An
    earlier handler is told after the callbacks, but for SIGINT: there it is the interpreter's or the event loop's.
    """
    loop = asyncio.get_running_loop()
    key = (loop, number)
    callbacks = _on_signal.get(key)
    if callbacks is None:
        before = _handler(number)
        loop.add_signal_handler(number, _signalled, key)
        callbacks, _before[key] = _on_signal.setdefault(key, []), before
    callbacks.append(callback)

    def remove() -> None:
        left = _on_signal.get(key, [])
        if callback in left:
            left.remove(callback)
        if not left and _on_signal.pop(key, None) is not None:
            before = _before.pop(key)
            if not loop.is_closed():
                loop.remove_signal_handler(number)
                signal.signal(number, before)

    return remove


def _handler(number: int) -> Any:
    """What is to be put back: not another callback of the event loop, which has one for each signal."""
    found = signal.getsignal(number)
    is_the_loops = (getattr(found, "__module__", None) or "").startswith("asyncio")
    return signal.SIG_DFL if found is None or is_the_loops else found


def _signalled(key: tuple[asyncio.AbstractEventLoop, int]) -> None:
    callbacks = list(_on_signal.get(key, ()))
    before = _before.get(key)
    if callable(before) and key[1] != signal.SIGINT:
        callbacks.append(lambda number: before(number, None))
    for callback in callbacks:
        try:
            callback(key[1])
        except Exception as error:  # the others are to hear of it all the same
            key[0].call_exception_handler({"message": "a signal callback failed", "exception": error})


def on_uncaught(callback: Callable[[BaseException], object]) -> Remove:
    """Call it with an exception that nobody caught, in the main thread or in another; it is printed as before."""
    main, thread = sys.excepthook, threading.excepthook
    is_on = True

    def in_main(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if is_on:
            callback(error)
        main(kind, error, traceback)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if is_on and args.exc_value is not None:
            callback(args.exc_value)
        thread(args)

    def remove() -> None:
        nonlocal is_on
        is_on = False  # somebody may have put a hook over ours
        if sys.excepthook is in_main:
            sys.excepthook = main
        if threading.excepthook is in_thread:
            threading.excepthook = thread

    sys.excepthook, threading.excepthook = in_main, in_thread
    return remove


def on_task_error(callback: Callable[[BaseException], object]) -> Remove:
    """Call it with the exception of a task, or of a callback, of the running loop that nobody looked at."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    is_on = True

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if is_on and isinstance(error, BaseException):
            callback(error)
        if before is None:
            loop.default_exception_handler(context)
        else:
            before(loop, context)

    def remove() -> None:
        nonlocal is_on
        is_on = False
        if loop.get_exception_handler() is handler:
            loop.set_exception_handler(before)

    loop.set_exception_handler(handler)
    return remove
