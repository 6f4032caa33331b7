"""Waiting for pipes and for clients, apart from each other.

Pipes are reported once when something comes (edge-triggered), although an unfinished line may stay in them; and they
can be left alone for a while, so that many small writes make one turn. Clients are heard at any time.
"""

from __future__ import annotations

import select
import selectors
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from rookery.logs.source import Source

    class Watch(Protocol):
        """What Units and Collector need. Who is given to add() comes back from poll()."""

        def add(self, fd: int, data: object, *, writing: bool = False) -> None:
            """Report when fd is readable, or also writable; again for an fd: in place of before. Raises OSError."""
            ...

        def add_source(self, source: Source) -> None:
            """Report when something comes into its pipe. Raises OSError for what has no events."""
            ...

        def remove(self, fd: int) -> None:
            """Report fd no more."""
            ...

        def rest(self, source: Source, *, on: bool) -> None:
            """Whether nothing can be taken from this pipe for now."""
            ...

        def poll(self, timeout: float | None, *, with_sources: bool) -> list[object]:
            """Who has something, after at most so many seconds."""
            ...

        def close(self) -> None:
            """Let go."""
            ...


def make_watch() -> Watch:
    """The best that this system has."""
    return EdgeWatch() if hasattr(select, "epoll") else LevelWatch()


class EdgeWatch:
    """epoll in epoll: the pipes have one of their own, which the outer one may ignore."""

    def __init__(self) -> None:
        self._outer = select.epoll()
        self._inner = select.epoll()
        self._outer.register(self._inner.fileno(), select.EPOLLIN)
        self._with_sources = True
        self._others: dict[int, object] = {}
        self._sources: dict[int, Source] = {}

    def add(self, fd: int, data: object, *, writing: bool = False) -> None:
        """See Watch."""
        events = select.EPOLLIN | (select.EPOLLOUT if writing else 0)
        if fd in self._others:
            self._outer.modify(fd, events)
        else:
            self._outer.register(fd, events)
        self._others[fd] = data

    def add_source(self, source: Source) -> None:
        """See Watch."""
        self._inner.register(source.fd, select.EPOLLIN | select.EPOLLET)
        self._sources[source.fd] = source

    def remove(self, fd: int) -> None:
        """See Watch."""
        if self._others.pop(fd, None) is not None:
            self._outer.unregister(fd)
        elif self._sources.pop(fd, None) is not None:
            self._inner.unregister(fd)

    def rest(self, source: Source, *, on: bool) -> None:
        """See Watch; what has been reported is not reported again anyway."""

    def poll(self, timeout: float | None, *, with_sources: bool) -> list[object]:
        """See Watch."""
        if with_sources != self._with_sources:
            self._outer.modify(self._inner.fileno(), select.EPOLLIN if with_sources else 0)
            self._with_sources = with_sources
        ready: list[object] = []
        for fd, _ in self._outer.poll(timeout):
            if fd == self._inner.fileno():
                if with_sources:
                    ready += [self._sources[one] for one, _ in self._inner.poll(0)]
            elif fd in self._others:
                ready.append(self._others[fd])
        return ready

    def close(self) -> None:
        """See Watch."""
        self._inner.close()
        self._outer.close()


class LevelWatch:
    """Without epoll: a source that leaves something in its pipe is reported again and again, so it must not."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._sources: dict[int, Source] = {}
        self._resting: set[int] = set()
        self._are_in = True

    def add(self, fd: int, data: object, *, writing: bool = False) -> None:
        """See Watch."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
        if fd in self._selector.get_map():
            self._selector.modify(fd, events, data)
        else:
            self._selector.register(fd, events, data)

    def add_source(self, source: Source) -> None:
        """See Watch."""
        if self._are_in:
            self._selector.register(source.fd, selectors.EVENT_READ, source)
        self._sources[source.fd] = source

    def remove(self, fd: int) -> None:
        """See Watch."""
        self._sources.pop(fd, None)
        self._resting.discard(fd)
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def rest(self, source: Source, *, on: bool) -> None:
        """See Watch."""
        if on:
            self._resting.add(source.fd)
        else:
            self._resting.discard(source.fd)
        self._set(source, is_in=self._are_in and not on)

    def _set(self, source: Source, *, is_in: bool) -> None:
        was_in = source.fd in self._selector.get_map()
        if is_in and not was_in:
            self._selector.register(source.fd, selectors.EVENT_READ, source)
        elif was_in and not is_in:
            self._selector.unregister(source.fd)

    def poll(self, timeout: float | None, *, with_sources: bool) -> list[object]:
        """See Watch."""
        if with_sources != self._are_in:
            for source in self._sources.values():
                self._set(source, is_in=with_sources and source.fd not in self._resting)
            self._are_in = with_sources
        if timeout is not None and not self._selector.get_map():
            time.sleep(timeout)
            return []
        ready: list[Any] = [key.data for key, _ in self._selector.select(timeout)]
        return ready

    def close(self) -> None:
        """See Watch."""
        self._selector.close()
