"""Which descriptors of a loop's children can be read: one epoll set for all of a loop's, in the loop as one reader.

event loop ──one reader──► epoll set ──► pidfds: the child has ended
                                    └──► pipes: output has come

An event loop's own add_reader and remove_reader take several times as long as what the kernel does for them, and each
child has up to three. Where there is no epoll it is the loop's readers after all.
"""

from __future__ import annotations

import asyncio
import os
import select
import weakref
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Protocol

from rookery._os import features, kernel
from rookery.process.exec_call import Tools

if TYPE_CHECKING:
    from collections.abc import Callable


class Readiness(Protocol):
    """Calls what was given with a descriptor whenever that can be read, in the context it was given in."""

    def add(self, fd: int, call: Callable[[], object]) -> None:
        """From now on."""

    def remove(self, fd: int) -> None:
        """Not any more; before the descriptor is closed."""

    def tools(self) -> Tools | None:
        """What starts in this loop use again and again; None where there are no descriptors left for it."""

    def adopted(self) -> set[int]:
        """What kernel.adopted says, sooner: of all children that are seen to have ended at once it is asked once.

        Who reaps one takes it out.
        """


class EpollReadiness:
    """One epoll set, and what is opened with it when it is first needed. All of it is closed with the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raises OSError."""
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._register = self._epoll.register
        self._calls: dict[int, tuple[Callable[..., object], Callable[[], object]]] = {}
        self._tools: Tools | None = None
        self._children = -1
        self._is_looking = False
        self._adopted: set[int] | None = None
        loop.add_reader(self._epoll.fileno(), self.look, _LoopsOwn(self))

    def add(self, fd: int, call: Callable[[], object]) -> None:
        """See Readiness."""
        self._register(fd, select.EPOLLIN)
        self._calls[fd] = (copy_context().run, call)

    def remove(self, fd: int) -> None:
        """See Readiness. A copy of the descriptor in a forked process would keep it in the set after its close."""
        if self._calls.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def tools(self) -> Tools | None:
        """See Readiness."""
        if self._tools is None or self._tools.read < 0:
            try:
                self._tools = Tools()
            except OSError:
                return None
        return self._tools

    def adopted(self) -> set[int]:
        """See Readiness. What those leave behind that had ended before a look began has come to us by then."""
        if self._adopted is not None:
            return self._adopted
        if self._children < 0:
            with suppress(OSError):
                self._children = kernel.open_adopted()
        found = set(kernel.adopted(self._children))
        if self._is_looking:
            self._adopted = found
        return found

    @property
    def is_closed(self) -> bool:
        """Whether the loop is closed."""
        return self._epoll.closed

    def close(self) -> None:
        """The loop is closed."""
        self._calls.clear()
        self._epoll.close()
        if self._tools is not None:
            self._tools.close()
        if self._children >= 0:
            os.close(self._children)
            self._children = -1

    def look(self, _: _LoopsOwn) -> None:
        """Call for what can be read."""
        calls = self._calls
        self._is_looking = True
        try:
            # Of a single one it is known which it is; that it was ready for nothing may happen anyway.
            for fd, __ in self._poll(0) if len(calls) > 1 else [(fd, 0) for fd in calls]:
                found = calls.get(fd)  # one that was called before may have removed it
                if found is not None:
                    try:
                        found[0](found[1])
                    except Exception as error:
                        asyncio.get_running_loop().call_exception_handler(
                            {"message": f"Exception in callback {found[1]!r}", "exception": error}
                        )
        finally:
            self._is_looking, self._adopted = False, None


class _LoopsOwn:
    """Held by the loop's reader alone: a loop that is closed lets go of it, and says so in this way."""

    __slots__ = ("_readiness",)

    def __init__(self, readiness: EpollReadiness) -> None:
        self._readiness = readiness

    def __del__(self) -> None:
        self._readiness.close()


class LoopReadiness:
    """The loop's own readers, and nothing kept."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def add(self, fd: int, call: Callable[[], object]) -> None:
        """See Readiness."""
        self._loop.add_reader(fd, call)

    def remove(self, fd: int) -> None:
        """See Readiness."""
        self._loop.remove_reader(fd)

    def tools(self) -> None:
        """See Readiness."""

    def adopted(self) -> set[int]:
        """See Readiness."""
        return set(kernel.adopted())


_of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, EpollReadiness] = weakref.WeakKeyDictionary()


def readiness(loop: asyncio.AbstractEventLoop) -> Readiness:
    """That of this loop, which is to be the running one."""
    found = _of_loops.get(loop)
    if found is not None and not found.is_closed:
        return found
    if features.has("epoll", lambda: hasattr(select, "epoll")):
        with suppress(OSError):  # no descriptors left: perhaps the loop has still room for a few
            _of_loops[loop] = found = EpollReadiness(loop)
            return found
    return LoopReadiness(loop)
