"""Functions of tasks, each sent to a worker once.

FunctionBook.number_of(function) -> (number, pickled)      in the parent
Functions.get(number, pickled or None) -> function         in the worker
"""

from __future__ import annotations

import functools
import importlib
import threading
import weakref
from collections import OrderedDict
from pickle import dumps
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

from rookery.pool.values.functions_guest import FRESH, FRESH_BY_VALUE, KEPT, KEPT_BY_VALUE, Functions, FunctionUnknown
from rookery.pool.values.functions_watch import Watch, is_importable, study

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FunctionBook", "FunctionUnknown", "Functions", "unwrapped"]

_MOST = 10_000
_MOST_BYTES = 64 << 20
_MOST_BY_IDENTITY = 4_096


class FunctionBook:
    """Gives each function a number by its content. Thread-safe.

    A function that can be imported is pickled once. One that cannot (lambda, closure, of a script or notebook) is
    pickled by value: once, if all that it refers to is constant, and again when a name is bound anew; otherwise each
    time, so that workers see what has changed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: OrderedDict[bytes, int] = OrderedDict()  # by content, the longest unused first
        self._bytes = 0
        self._next = 1
        self._entries: dict[int, _Entry] = {}  # by identity

    def number_of(self, function: Callable[..., Any]) -> tuple[int, bytes]:
        """Its number, from 1, and its pickle, for workers that do not know the number.

        A number stands for the same bytes for ever; the same bytes can have a new number after a long time. Raises what
        pickling raises.
        """
        entry = self._entries.get(id(function))
        if entry is not None and entry.holds() is function and (entry.watch is None or entry.watch.is_same(function)):
            return entry.answer
        if isinstance(function, (FunctionType, BuiltinFunctionType, type)) and is_importable(function):
            return self._remember(function, None, self._numbered(KEPT + dumps(function, 5)))
        if type(function) is FunctionType:
            watch, is_fresh = study(function)
            stream = _by_value(function)
            answer = self._numbered((FRESH_BY_VALUE if is_fresh else KEPT_BY_VALUE) + stream)
            # Pickling took a while: another thread may have changed something in the middle of it.
            return self._remember(function, watch, answer) if watch is not None and watch.is_same(function) else answer
        if isinstance(function, type):
            return self._numbered(KEPT_BY_VALUE + _by_value(function))
        return self._numbered(_pickled(function))

    def _numbered(self, pickled: bytes) -> tuple[int, bytes]:
        with self._lock:
            number = self._numbers.get(pickled)
            if number is not None:
                self._numbers.move_to_end(pickled)
                return number, pickled
            number = self._next
            self._next += 1
            self._numbers[pickled] = number
            self._bytes += len(pickled)
            while len(self._numbers) > _MOST or self._bytes > _MOST_BYTES:
                self._bytes -= len(self._numbers.popitem(last=False)[0])
            return number, pickled

    def _remember(self, function: Any, watch: Watch | None, answer: tuple[int, bytes]) -> tuple[int, bytes]:
        key = id(function)
        entry = _Entry(watch, answer)
        try:
            entry.holds = weakref.ref(function, functools.partial(_gone, self._entries, key))
        except TypeError:  # keeps nothing alive that would not live on anyway: it can be imported
            entry.holds = lambda: function
        with self._lock:
            self._entries[key] = entry
            if len(self._entries) > _MOST_BY_IDENTITY:
                self._entries.pop(next(iter(self._entries)), None)
        return answer


class _Entry:
    __slots__ = ("answer", "holds", "watch")

    holds: Callable[[], Any]

    def __init__(self, watch: Watch | None, answer: tuple[int, bytes]) -> None:
        self.watch = watch
        self.answer = answer


def _gone(entries: dict[int, _Entry], key: int, reference: Any) -> None:
    entry = entries.get(key)
    if entry is not None and entry.holds is reference:
        entries.pop(key, None)


def _pickled(thing: Any) -> bytes:
    """Bound methods, partials, callable objects: each task gets one of its own, as it gets arguments of its own."""
    try:
        stream = dumps(thing, 5)
    except MemoryError:
        raise
    except Exception as error:
        try:
            return FRESH_BY_VALUE + _by_value(thing)
        except Exception as second:
            raise error from second
    return FRESH_BY_VALUE + _by_value(thing) if b"__main__" in stream else FRESH + stream


def _by_value(thing: Any) -> bytes:
    stream: bytes = importlib.import_module("rookery.pool.values.by_value").dumps(thing)
    return stream


def unwrapped(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The same call without functools.partial around it, so that what that holds travels as arguments do."""
    while type(function) is functools.partial and not function.__dict__:
        args = (*function.args, *args)
        kwargs = {**function.keywords, **kwargs}
        function = function.func
    return function, args, kwargs
