"""The results of a map, for ``for`` and for ``async for``."""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from dataclasses import replace
from itertools import chain, islice, repeat
from operator import length_hint
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from rookery.errors import UsageError
from rookery.pool.future import PoolFuture
from rookery.pool.processes.one_task import name_of
from rookery.pool.progress_bar import ProgressBar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

    from rookery.pool.calls import Calls, Pooled, TaskOptions

T = TypeVar("T")

_CHUNKS_PER_WORKER = 4
_LARGEST_CHUNK = 3000  # of numbers: what still goes through a socket
_AUTO_UNKNOWN = 32


class Chunks(Protocol):
    """How a pool makes one task of several items."""

    def chunk(
        self, function: Callable[..., Any], items: Sequence[Any], *, are_single: bool
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """What to call, and with what. are_single: each item is the one argument, else a tuple of them."""
        ...

    def outcomes(self, result: Any) -> tuple[list[Any] | None, list[tuple[bool, Any]]]:
        """The values where all items went well; else None, and of each (whether it did, the value or the error)."""
        ...


class Results(Generic[T]):
    """What pool.map returns. Iterate it once, from one thread or task; close() cancels what has not begun."""

    def __init__(
        self,
        calls: Calls,
        pool: Pooled,
        options: TaskOptions,
        function: Callable[..., T],
        iterables: Sequence[Iterable[Any]],
        *,
        timeout: float | None,
        chunksize: int | Literal["auto"],
        ordered: bool,
        return_exceptions: bool,
        progress: bool | str,
        buffersize: int | None,
    ) -> None:
        if not iterables:
            raise UsageError("map wants at least one iterable")
        if buffersize is not None and buffersize < 1:
            raise UsageError(f"buffersize is to be at least 1, not {buffersize!r}")
        self._calls: Calls | None = calls  # a pool whose results are still taken is not one that was forgotten
        self._pool = pool
        self._function = function
        self._total = _length(iterables)
        self._size = _chunk_size(chunksize, self._total, pool.breadth)
        limit = None if options.timeout is None else options.timeout * self._size
        self._options = replace(options, timeout=limit, label=options.label or name_of(function))
        self._end = None if timeout is None else monotonic() + timeout
        self._keeps_errors = return_exceptions
        self._are_single = len(iterables) == 1 and self._size > 1
        self._items: Iterator[Any] | None = iter(iterables[0]) if self._are_single else zip(*iterables, strict=False)
        self._is_ordered = ordered
        self._waiting: deque[PoolFuture[Any]] = deque()
        self._done: queue.SimpleQueue[PoolFuture[Any]] = queue.SimpleQueue()
        self._open: dict[PoolFuture[Any], int] = {}
        """The tasks that are not taken yet, and how many items each has."""
        self._ready: deque[tuple[bool, Any]] = deque()
        self._has_begun = False
        self._wake: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ahead = None if buffersize is None else max(1, -(-buffersize // self._size))
        self._bar = ProgressBar(progress if isinstance(progress, str) else "", total=self._total) if progress else None
        self._counts = [0, 0]
        try:
            self._fill()
        except BaseException:
            self.close()
            raise

    # -- giving tasks -----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Give as many tasks as may be ahead."""
        while self._items is not None and (self._ahead is None or len(self._open) < self._ahead):
            if self._size == 1:
                item = next(self._items, None)
                if item is None:
                    self._items = None
                    return
                function, args, count = self._function, item, 1
            else:
                items = list(islice(self._items, self._size))
                if not items:
                    self._items = None
                    return
                count = len(items)
                function, args = self._pool.chunk(self._function, items, are_single=self._are_single)
            self._give(function, args, count)

    def _give(self, function: Callable[..., Any], args: tuple[Any, ...], count: int) -> None:
        future: PoolFuture[Any] = PoolFuture(self._pool)
        self._open[future] = count
        if self._is_ordered:
            self._waiting.append(future)
        self._pool.enqueue(function, args, {}, self._options, future)
        if not self._is_ordered:
            future.add_done_callback(self._is_done)

    def _is_done(self, future: Any) -> None:
        self._done.put(future)
        loop, wake = self._loop, self._wake
        if loop is not None and wake is not None:
            loop.call_soon_threadsafe(wake.set)

    # -- taking results ---------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[T]:
        """As __next__, many times as fast for many small items: between two chunks no code of Python's runs."""
        return chain.from_iterable(self._all())

    def _all(self) -> Iterator[Iterable[T]]:
        self._begin()
        try:
            while self._ready or self._open:
                if self._ready:
                    yield self._outcomes()
                    continue
                values = self._take(self._next_done())
                if values is not None:
                    values.reverse()
                    # Each leaves the list as it goes: who has one and drops it is the last to hold it.
                    yield map(list.pop, repeat(values, len(values)))
        finally:
            self.close()

    def _outcomes(self) -> Iterator[T]:
        try:
            while self._ready:
                yield self._outcome()
        except BaseException:  # a failed item ends the map; so does who goes away in the middle
            self.close()
            raise

    def __next__(self) -> T:
        self._begin()
        try:
            while not self._ready:
                if not self._open:
                    raise StopIteration
                self._keep(self._take(self._next_done()))
            return self._outcome()
        except BaseException:
            self.close()
            raise

    def _next_done(self) -> PoolFuture[Any]:
        if self._is_ordered:
            future = self._waiting[0]
            if not future.done():
                future.exception(self._left())
            return self._waiting.popleft()
        try:
            return self._done.get(timeout=self._left())
        except queue.Empty:
            raise TimeoutError("the next result did not come in time") from None

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        self._begin()
        try:
            while not self._ready:
                if not self._open:
                    raise StopAsyncIteration
                async with asyncio.timeout(self._left()):
                    future = await self._next_awaited()
                self._keep(self._take(future))
            return self._outcome()
        except BaseException:
            self.close()
            raise

    async def _next_awaited(self) -> PoolFuture[Any]:
        loop = asyncio.get_running_loop()
        if self._is_ordered:
            future = self._waiting[0]
            if not future.done():
                done = asyncio.Event()
                future.add_done_callback(lambda _: _call_soon(loop, done.set))
                await done.wait()
            return self._waiting.popleft()
        if self._wake is None:
            self._wake, self._loop = asyncio.Event(), loop
        while True:
            self._wake.clear()
            try:
                return self._done.get_nowait()
            except queue.Empty:
                await self._wake.wait()

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            if self._bar is not None:
                self._bar.__enter__()

    def _left(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - monotonic())

    def _take(self, future: PoolFuture[Any]) -> list[Any] | None:
        """The values of a task whose items all went well; else None, and the outcomes are among those ready."""
        count = self._open.pop(future)
        error = future.exception(0)
        values: list[Any] | None = None
        failed = 0
        if error is not None:
            outcomes = [(False, error)] * count
        elif self._size == 1:
            values = [future.result()]
        else:
            values, outcomes = self._pool.outcomes(future.result())
        if values is None:
            self._ready.extend(outcomes)
            failed = sum(not is_fine for is_fine, _ in outcomes)
        if self._bar is not None:
            self._counts[0] += count - failed
            self._counts[1] += failed
            self._bar.update(*self._counts)
        self._fill()
        return values

    def _keep(self, values: list[Any] | None) -> None:
        if values is not None:
            self._ready.extend([(True, value) for value in values])

    def _outcome(self) -> T:
        is_fine, value = self._ready.popleft()
        if is_fine or self._keeps_errors:
            return value  # type: ignore[no-any-return]
        try:
            raise value
        finally:
            del value  # no circle through the traceback

    # -- ending -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Cancel what has not begun; what runs goes on and is not heard of."""
        self._items = self._calls = None
        for future in self._open:
            future.cancel()
        self._open.clear()
        self._waiting.clear()
        self._ready.clear()
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None

    async def aclose(self) -> None:
        """See close."""
        self.close()

    def __del__(self) -> None:
        # As the generator of Executor.map: who has begun to take results and goes away wants no more of them.
        if getattr(self, "_has_begun", False) and self._open:
            self.close()


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:  # the loop is closed: nobody waits there
        return


def _length(iterables: Sequence[Iterable[Any]]) -> int | None:
    """How many items there will be, where all say so."""
    lengths = [length_hint(one, -1) for one in iterables]
    return None if min(lengths) < 0 else min(lengths)


def _chunk_size(asked: int | Literal["auto"], total: int | None, workers: int) -> int:
    if asked != "auto":
        if asked < 1:
            raise ValueError("chunksize must be >= 1.")
        return asked
    if total is None:
        return _AUTO_UNKNOWN
    return max(1, min(_LARGEST_CHUNK, -(-total // (workers * _CHUNKS_PER_WORKER))))
