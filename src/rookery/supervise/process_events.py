"""What happens in a ProcessManager, for whoever wants to know."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from rookery.supervise.process_record import ProcessRecord, SeenMessage

What = Literal["starting", "running", "output", "message", "exited", "killed", "failed-to-start", "removed"]
_MOST = 1000


@dataclass(frozen=True, slots=True)
class ProcessEvent:
    """what: a status that was reached, "output" (stream, data), "message" (message) or "removed" (from the records)."""

    what: What
    record: ProcessRecord
    stream: str = ""
    data: bytes = b""
    message: SeenMessage | None = None


class EventStream:
    """``with manager.events() as events: async for event in events``; from the call on, and endless.

    A reader who is 1,000 behind loses the oldest; dropped says how many.
    """

    def __init__(self, subscribe: Callable[[Callable[[ProcessEvent], object]], Callable[[], None]]) -> None:
        self.dropped = 0
        self._events: deque[ProcessEvent] = deque()
        self._came = asyncio.Event()
        self._end = subscribe(self._take)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ProcessEvent:
        while not self._events:
            self._came.clear()
            await self._came.wait()
        return self._events.popleft()

    def close(self) -> None:
        """Listen no more."""
        self._end()

    def _take(self, event: ProcessEvent) -> None:
        if len(self._events) >= _MOST:
            self._events.popleft()
            self.dropped += 1
        self._events.append(event)
        self._came.set()


class Listeners:
    """Tells all of them; one that raises is reported to the event loop, and disturbs nobody."""

    def __init__(self) -> None:
        self._calls: dict[object, Callable[[ProcessEvent], object]] = {}

    def add(self, call: Callable[[ProcessEvent], object]) -> Callable[[], None]:
        """What takes it away again."""
        key = object()
        self._calls[key] = call
        return lambda: self._calls.pop(key, None) and None

    def tell(self, event: ProcessEvent) -> None:
        """It has happened."""
        for call in list(self._calls.values()):
            try:
                call(event)
            except Exception as error:
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a listener of a ProcessManager failed", "exception": error}
                )
