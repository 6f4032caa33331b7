"""What has happened: the last thousand events, for whoever asks or follows."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from rookery.config.selectors import Target, match, parse
from rookery.control.messages import Event, EventQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from rookery._base.clock import Clock
    from rookery.apps.app import Instance

MOST = 1000


class Events:
    """A bounded history. epoch: of this manager; is_app: whether there is an app of that name. One event loop."""

    def __init__(self, clock: Clock, is_app: Callable[[str], bool]) -> None:
        self.epoch = 0
        self._clock = clock
        self._is_app = is_app
        self._kept: deque[Event] = deque(maxlen=MOST)
        self._seq = 0
        self._more = asyncio.Event()

    def add(self, type: str, one: Instance | None = None, **facts: Any) -> Event:  # noqa: A002
        """Write down that something has happened (now); facts: fields of Event."""
        if one is not None:
            spec = one.app.spec
            facts = {"id": one.id, "name": spec.name, "namespace": spec.namespace, "index": one.index, **facts}
            facts["unit"] = one.unit.key
        self._seq += 1
        event = Event(seq=self._seq, epoch=self.epoch, time=self._clock.wall(), type=type, **facts)
        self._kept.append(event)
        self.wake()
        return event

    def wake(self) -> None:
        """Have whoever waits look again."""
        self._more.set()
        self._more = asyncio.Event()

    def changed(self) -> Coroutine[Any, Any, object]:
        """``await`` it: an event has been added since this was called, which may be before anybody waits."""
        return self._more.wait()

    def kept(self, query: EventQuery) -> list[Event]:
        """The kept events that match, oldest first. Raises UsageError for a selector that cannot be read."""
        matches = self._filter(query)
        return [event for event in self._kept if _is_after(event, query.after) and matches(event)]

    def feed(self, query: EventQuery) -> Feed:
        """A reader's place, before everything that is kept or after query.after. Raises UsageError."""
        return Feed(self, query.after, self._filter(query))

    def since(self, place: tuple[int, int] | None) -> list[Event]:
        """All events after a place, with a gap before them where some of this epoch are no longer kept."""
        found = [event for event in self._kept if _is_after(event, place)]
        if not found or place is None:
            return found
        known = place[1] if place[0] == self.epoch else 0
        lost = found[0].seq - known - 1
        if lost <= 0:
            return found
        gap = Event(
            seq=found[0].seq - 1,
            epoch=self.epoch,
            time=found[0].time,
            type="gap",
            reason=f"{lost} events are no longer kept",
        )
        return [gap, *found]

    def _filter(self, query: EventQuery) -> Callable[[Event], bool]:
        selectors = [parse(text) for text in query.selectors]

        def matches(event: Event) -> bool:
            if event.type == "gap":
                return True
            if query.types and event.type not in query.types:
                return False
            # A namespace counts only where no app has that name, as everywhere; but here one event is looked at.
            namespace = "" if self._is_app(event.namespace) else event.namespace
            index = -1 if event.index is None else event.index
            target = Target(-1 if event.id is None else event.id, event.name, namespace, index)
            return not selectors or any(match(selector, [target])[0] for selector in selectors)

        return matches


class Feed:
    """See EventFeed."""

    def __init__(self, events: Events, place: tuple[int, int] | None, matches: Callable[[Event], bool]) -> None:
        self._events = events
        self._place = place
        self._matches = matches

    async def more(self) -> list[Event]:
        """See EventFeed."""
        while True:
            new = self._events.since(self._place)
            if new:
                self._place = new[-1].position
            if found := [event for event in new if self._matches(event)]:
                return found
            if not new:
                await self._events.changed()


def _is_after(event: Event, place: tuple[int, int] | None) -> bool:
    return place is None or event.position > place
