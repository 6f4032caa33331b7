"""One queue of operations per app: a second restart waits, it neither fails nor starts a third copy."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class Operations(Generic[T]):
    """Runs operations one after the other.

    One that is asked for again while it waits is not done twice: both callers share it. It has not begun, so it
    begins after both have asked, which is all that either could want. Operations go on when their caller is cancelled.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[object, Callable[[], Coroutine[object, object, T]], asyncio.Future[T]]] = deque()
        self._runner: asyncio.Task[None] | None = None

    async def do(self, kind: object, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Run work in its turn and return what it returns; kind: equal for operations that may be shared.

        Only the newest waiting one is shared: an order of stop, start, stop is kept.
        """
        if self._waiting and self._waiting[-1][0] == kind:
            future = self._waiting[-1][2]
        else:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append((kind, work, future))
            if self._runner is None:
                self._runner = asyncio.ensure_future(self._run())
        return await asyncio.shield(future)

    async def _run(self) -> None:
        while self._waiting:
            _, work, future = self._waiting.popleft()
            try:
                result = await work()
            except Exception as error:  # the caller's to handle, whatever it is
                if not future.cancelled():
                    future.set_exception(error)
                    future.exception()  # a caller that has gone leaves no warning behind
            else:
                if not future.cancelled():
                    future.set_result(result)
        self._runner = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs or waits."""
        return self._runner is None
