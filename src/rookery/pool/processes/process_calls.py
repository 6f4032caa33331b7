"""How tasks are given to a process pool: functions, or what a script is asked for by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, cast, overload

from rookery.pool.calls import Calls

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Literal, ParamSpec

    from rookery.pool.calls import TaskOptions
    from rookery.pool.future import PoolFuture
    from rookery.pool.map import Results

    P = ParamSpec("P")
    Data = str | int | float | bool | None | Sequence[Any] | Mapping[str, Any]
    """What a script can be given."""

T = TypeVar("T")


class MapOptions(TypedDict, total=False):
    """See Calls.map."""

    timeout: float | None
    chunksize: int | Literal["auto"]
    ordered: bool
    return_exceptions: bool
    progress: bool | str
    buffersize: int | None


class ProcessCalls(Calls):
    """See Calls. Where the workers run a script: ``submit("resize", data)``, in the plain protocol ``submit(data)``.

    Data is what JSON knows (numbers, texts, lists, objects), as it is now; what cannot be given to a script the future
    says. One value is one message, up to 16 MiB.
    """

    if TYPE_CHECKING:  # the same methods for both: what is a name and what a function is told apart by the pool

        @overload
        def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> PoolFuture[T]: ...

        @overload
        def submit(self, fn: Data, data: Any = ..., /) -> PoolFuture[Any]: ...

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> PoolFuture[Any]:
            """See Calls."""

        @overload
        def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]: ...

        @overload
        def run(self, fn: Data, data: Any = ..., /) -> asyncio.Future[Any]: ...

        def run(self, fn: Any, /, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
            """See Calls."""

    @overload
    def map(self, fn: Callable[..., T], *iterables: Iterable[Any], **how: Unpack[MapOptions]) -> Results[T]: ...

    @overload
    def map(
        self, fn: str | Iterable[Any], items: Iterable[Any] = ..., /, **how: Unpack[MapOptions]
    ) -> Results[Any]: ...

    def map(self, fn: Any, *iterables: Iterable[Any], **how: Unpack[MapOptions]) -> Results[Any]:
        """See Calls. A script's items go to it one by one: ``map("resize", items)``, plain ``map(items)``."""
        if not callable(fn):
            how["chunksize"] = 1
            fn, iterables = (fn, iterables) if iterables else (None, (fn,))
        return super().map(fn, *iterables, **how)

    def options(self, **changes: Any) -> ProcessCalls:
        """See Calls."""
        return cast("ProcessCalls", super().options(**changes))

    def _with(self, options: TaskOptions) -> ProcessCalls:
        return ProcessCalls(self._pool, options)
