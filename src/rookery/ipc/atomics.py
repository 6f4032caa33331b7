"""Operations on one element of a shared array that no other process or thread can come between."""

from __future__ import annotations

from functools import partial
from operator import index as as_integer
from typing import TYPE_CHECKING, NoReturn

from rookery.errors import UsageError
from rookery.ipc import shared_wait

if TYPE_CHECKING:
    import mmap

    from rookery.ipc.shared_lock import Lock
    from rookery.ipc.shared_types import Layout


class Atomics:
    """Atomic operations on the integers of a shared array. Any process, any thread, signal handlers too.

    Each takes an index (an integer; a tuple where the array has several dimensions) and returns the element's value
    from before. Values are taken modulo the element's width, as in C: 255 + 1 is 0 in a uint8, and -1 is 255.

    A killed process has written its value or has not, and the others go on. All raise IndexError and TypeError,
    UsageError for a closed array, and LockTimeout after 60 s in which a stopped process was in the middle of one.
    """

    def __init__(self, memory: mmap.mmap, elements: memoryview, layout: Layout, lock: Lock) -> None:
        self._elements: memoryview | None = elements
        self._layout = layout
        self._lock = lock
        self._bells = shared_wait.Bells(memory)
        self._keep = -1
        self._mask = layout.mask
        self._offset = layout.offset

    def load(self, index: int | tuple[int, ...]) -> int:
        """The element's value."""
        return self._change(index, -1, 0, 0)

    def store(self, index: int | tuple[int, ...], value: int) -> int:
        """Set it."""
        return self._change(index, 0, 0, as_integer(value))

    exchange = store

    def add(self, index: int | tuple[int, ...], value: int) -> int:
        """Add to it."""
        return self._change(index, -1, 0, as_integer(value))

    def sub(self, index: int | tuple[int, ...], value: int) -> int:
        """Subtract from it."""
        return self._change(index, -1, 0, -as_integer(value))

    def and_(self, index: int | tuple[int, ...], value: int) -> int:
        """Keep only the bits of value."""
        return self._change(index, as_integer(value), 0, 0)

    def or_(self, index: int | tuple[int, ...], value: int) -> int:
        """Set the bits of value."""
        bits = as_integer(value)
        return self._change(index, ~bits, bits, 0)

    def xor(self, index: int | tuple[int, ...], value: int) -> int:
        """Turn the bits of value."""
        return self._change(index, -1, as_integer(value), 0)

    def compare_exchange(self, index: int | tuple[int, ...], expected: int, value: int) -> int:
        """Set it to value if it is expected; it was set if what is returned is expected."""
        index = index if index.__class__ is int else self._position(index)
        elements, lock, offset, mask = self._elements, self._lock, self._offset, self._mask
        expected = ((as_integer(expected) + offset) & mask) - offset
        value = ((as_integer(value) + offset) & mask) - offset
        token = lock.token
        try:
            if result := lock.try_lock(token):
                lock.settle(result)
            old: int = elements[index]  # type: ignore[index]
            if old == expected:
                elements[index] = value  # type: ignore[index]
        except BaseException as error:
            lock.abandon()
            self._explain(index, error)
        lock.unlock(token)
        return old

    def wait(self, index: int | tuple[int, ...], expected: int, timeout: float | None = None) -> bool:
        """Sleep for as long as the element is expected; False if it still is after timeout seconds (default: no limit).

        Returns at once if it is another value already. Who changes it must notify(). Signals are handled meanwhile.
        """
        position = self._position(index)
        look = partial(self._look, position, self._wrapped(expected))
        return shared_wait.sleep_until(look, self._bells, position, timeout)

    async def wait_async(
        self, index: int | tuple[int, ...], expected: int, timeout: float | None = None  # noqa: ASYNC109
    ) -> bool:  # fmt: skip
        """As wait(), for an event loop; sleeps in a thread of its own. May be cancelled."""
        position = self._position(index)
        look = partial(self._look, position, self._wrapped(expected))
        return await shared_wait.in_thread(
            lambda is_given_up: shared_wait.sleep_until(look, self._bells, position, timeout, is_given_up),
            lambda: self.notify(position),
        )

    def notify(self, index: int | tuple[int, ...]) -> int:
        """Wake all who wait for this element; how many sleepers were disturbed (those of some other elements too)."""
        position = self._position(index)
        lock = self._lock
        token = lock.token
        try:
            if result := lock.try_lock(token):
                lock.settle(result)
            self._bells.advance(position)
        except BaseException:
            lock.abandon()
            raise
        lock.unlock(token)
        return self._bells.ring(position)

    def _change(self, index: int | tuple[int, ...], keep: int, flip: int, plus: int) -> int:
        """One formula for all: ((old & keep) ^ flip) + plus. Between read and write there is no call.

        So no signal handler, finaliser or interrupt of this thread can come between them, and what a handler does that
        came before or after stays (this thread gets its own lock a second time).
        """
        index = index if index.__class__ is int else self._position(index)
        elements, lock, offset = self._elements, self._lock, self._offset
        mask, token = self._mask, lock.token
        try:
            if result := lock.try_lock(token):
                lock.settle(result)
            old: int = elements[index]  # type: ignore[index]
            elements[index] = ((((old & keep) ^ flip) + plus + offset) & mask) - offset  # type: ignore[index]
        except BaseException as error:
            lock.abandon()
            self._explain(index, error)
        lock.unlock(token)
        return old

    def _look(self, position: int, expected: int) -> tuple[bool, int]:
        elements, lock = self._elements, self._lock
        token = lock.token
        try:
            if result := lock.try_lock(token):
                lock.settle(result)
            value: int = elements[position]  # type: ignore[index]
            count = self._bells.count(position)
        except BaseException as error:
            lock.abandon()
            self._explain(position, error)
        lock.unlock(token)
        return value != expected, count

    def _wrapped(self, value: int) -> int:
        return ((as_integer(value) + self._offset) & self._mask) - self._offset

    def _position(self, index: object) -> int:
        """Where an element is in the flat memory. Raises IndexError, TypeError."""
        shape = self._layout.shape
        parts = index if isinstance(index, tuple) else (index,)
        if len(parts) == 1 and len(shape) > 1 and not isinstance(index, tuple):
            parts, shape = (index,), (self._layout.length,)
        if len(parts) != len(shape):
            raise TypeError(f"an index of {len(shape)} integers is needed, got {index!r}")
        position = 0
        for part, size in zip(parts, shape, strict=True):
            try:
                at = as_integer(part)
            except TypeError:
                raise TypeError(f"an index must be an integer, got {part!r}") from None
            if not -size <= at < size:
                raise IndexError(f"index {at} is out of range for {size} elements")
            position = position * size + at % size
        return position

    def _explain(self, index: object, error: BaseException) -> NoReturn:
        """Raise what fits, for what went wrong in an operation."""
        if self._elements is None:
            raise UsageError("this shared array is closed") from None
        if isinstance(error, IndexError):
            self._position(index)
        raise error

    def close(self) -> None:
        """Let go of the memory; what runs in other threads comes to its end."""
        self._elements = None
