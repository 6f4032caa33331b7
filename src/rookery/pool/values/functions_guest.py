"""The functions that a worker knows."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from rookery.errors import PoolError
from rookery.pool.nursery.fork_server_site import importable_again
from rookery.pool.values.guest import Guest
from rookery.pool.values.pickling_values import settle

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT, KEPT_BY_VALUE, FRESH, FRESH_BY_VALUE = b"k", b"K", b"f", b"F"
"""Before a pickled function: whether it is unpickled once or for each task, and how."""
LARGE = 16 << 10
_MOST = 10_000
_MOST_LARGE_BYTES = 64 << 20


class FunctionUnknown(PoolError):
    """The worker does not know this number (any more): the function must be sent again. number."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"function {number} is not known here")

    def __reduce__(self) -> tuple[type[FunctionUnknown], tuple[int]]:
        return type(self), (self.number,)


class Known:
    """function: unpickled, or None where each task gets its own; tokens: see Guest.loads()."""

    __slots__ = ("function", "pickled", "tokens")

    def __init__(self, pickled: bytes) -> None:
        self.pickled = pickled
        self.function: Any = None
        self.tokens: dict[str, object] = {}


class Functions:
    """Unpickles functions, once each. For the one thread of a worker that runs tasks; makes this process a worker.

    The last 10,000 are kept; of those above 16 KB no more than 64 MB. importable_again: asked when a module is not
    found; True if it is worth another try.
    """

    def __init__(self, importable_again: Callable[[], bool] = importable_again) -> None:
        self._guest = Guest(importable_again)
        self._small: OrderedDict[int, Known] = OrderedDict()  # the longest unused first
        self._large: OrderedDict[int, Known] = OrderedDict()
        self._large_bytes = 0
        settle(self._guest)

    def get(self, number: int, pickled: bytes | bytearray | memoryview | None) -> Any:
        """The function. pickled: what FunctionBook gave with the number (copied), or None where that was sent before.

        Raises FunctionUnknown, and whatever its unpickling raises.
        """
        known = self._small.get(number)
        if known is not None:
            self._small.move_to_end(number)
        else:
            known = self._large.get(number)
            if known is not None:
                self._large.move_to_end(number)
            elif pickled is None:
                raise FunctionUnknown(number)
            else:
                known = Known(bytes(pickled))
                function = self._unpickled(known)  # first: what fails is not kept
                self._keep(number, known)
                return function
        if known.function is not None and (not known.tokens or self._is_in_place(known)):
            return known.function
        return self._unpickled(known)

    def _is_in_place(self, known: Known) -> bool:
        """Whether the global names have the values that came with this function, as far as no task set them."""
        if self._guest.current is not known:
            if not self._guest.are_in_place(known.tokens):
                return False
            self._guest.current = known
        return True

    def _unpickled(self, known: Known) -> Any:
        mode, stream = known.pickled[:1], memoryview(known.pickled)[1:]
        if mode in (KEPT, FRESH):
            function = self._guest.plain_loads(stream)
            tokens: dict[str, object] = {}
        else:
            function, tokens = self._guest.loads(stream)
        if mode in (KEPT, KEPT_BY_VALUE):
            known.function, known.tokens = function, tokens
            self._guest.current = known
        return function

    def _keep(self, number: int, known: Known) -> None:
        if len(known.pickled) <= LARGE:
            self._small[number] = known
            if len(self._small) > _MOST:
                self._small.popitem(last=False)
            return
        self._large[number] = known
        self._large_bytes += len(known.pickled)
        while self._large_bytes > _MOST_LARGE_BYTES and len(self._large) > 1:
            self._large_bytes -= len(self._large.popitem(last=False)[1].pickled)
