"""What threads of ours there are: finished when the interpreter ends, forgotten in a forked copy.

All our threads are daemons, so that one that was given up never holds up the interpreter's end; those that work are
waited for here, which is what concurrent.futures does with its own.
"""

from __future__ import annotations

import _thread
import atexit
import os
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Owner(Protocol):
    """Something that has threads."""

    def at_exit(self) -> None:
        """The interpreter ends: do what was promised, and wait for it."""
        ...

    def after_fork(self) -> None:
        """This is a forked copy: the threads are not here. Nothing may be waited for."""
        ...


# Not a WeakSet: its guards are no match for a fork in the middle of one.
_owners: dict[int, weakref.ref[Owner]] = {}


def add(owner: Owner) -> None:
    """Have it finished at the end, and emptied in a forked copy; it is held weakly."""
    key = id(owner)
    _owners[key] = weakref.ref(owner, lambda _: _owners.pop(key, None))


def remove(owner: Owner) -> None:
    """It has no threads any more."""
    _owners.pop(id(owner), None)


def later(function: Callable[[], object]) -> None:
    """Call it in a thread of its own: for finalizers, which may come while this thread holds the lock they want."""
    with suppress(RuntimeError):  # the interpreter ends, and finishes them all
        _thread.start_new_thread(function, ())


def _all() -> list[Owner]:
    return [owner for reference in list(_owners.values()) if (owner := reference()) is not None]


def _finish() -> None:
    for owner in _all():
        owner.at_exit()


def _forget() -> None:
    for owner in _all():
        owner.after_fork()


atexit.register(_finish)
os.register_at_fork(after_in_child=_forget)
