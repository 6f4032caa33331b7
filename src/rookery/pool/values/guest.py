"""How a worker unpickles what came by value: functions of a script, a notebook or a shell.

Such functions have no module in the worker. Their global names live here together, as a module's would: what one task,
or the initializer, sets is there for the next. When the submitter's value of a name has changed, it replaces ours.
Classes that came from the submitter are remembered, so that results name them instead of describing them again.
"""

from __future__ import annotations

import builtins
import importlib
import io
import pickle
import weakref
from _blake2 import blake2b
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rookery.pool.values.functions_guest import Known

MARK = "__rookery_main__"
"""In the globals of a pickled function: they are those of the submitter's ``__main__``."""
_BY_VALUE = "cloudpickle.cloudpickle"
_SIMPLE = frozenset({type(None), bool, int, float, complex, str, bytes})

came_here: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
"""Classes that the submitter described: the name by which it knows each of them."""


class Guest:
    """The global names that came by value, and what the submitter's values of them were last. One thread."""

    def __init__(self, importable_again: Callable[[], bool]) -> None:
        self.globals: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
        self.current: Known | None = None  # whose values were put in place last
        self._placed: dict[str, object] = {}
        self._importable_again = importable_again

    def loads(self, stream: bytes | memoryview, buffers: Iterable[Any] = ()) -> tuple[Any, dict[str, object]]:
        """Unpickle what came by value: (the value, what stands for the submitter's value of each global name).

        Raises whatever its unpickling raises.
        """
        buffers = list(buffers)
        for is_last in (False, True):
            unpickler = _Unpickler(io.BytesIO(stream), buffers=buffers)
            unpickler.guest = self
            values: dict[str, Any] = {}
            unpickler.values = values
            try:
                found = unpickler.load()
            except ModuleNotFoundError:
                if is_last or not self._importable_again():
                    raise
            else:
                break
        return found, self._put_in_place(values) if values else {}

    def plain_loads(self, stream: bytes | memoryview, buffers: Iterable[Any] = ()) -> Any:
        """Unpickle anything else."""
        try:
            return pickle.loads(stream, buffers=buffers)
        except ModuleNotFoundError:
            if not self._importable_again():
                raise
        return pickle.loads(stream, buffers=buffers)

    def _put_in_place(self, values: dict[str, Any]) -> dict[str, object]:
        self.current = None
        tokens = {}
        for name, value in values.items():
            token = tokens[name] = _token(value)
            if name not in self.globals or name not in self._placed or self._placed[name] != token:
                self.globals[name] = value
                self._placed[name] = token
        return tokens

    def are_in_place(self, tokens: dict[str, object]) -> bool:
        """Whether no other function has brought other values of these names."""
        placed = self._placed
        return all(placed.get(name) == token for name, token in tokens.items())


class _Unpickler(pickle.Unpickler):
    guest: Guest
    values: dict[str, Any]

    def find_class(self, module: str, name: str, /) -> Any:
        found = super().find_class(module, name)
        if module == _BY_VALUE:
            if name == "_make_function":
                return lambda code, names, *rest: found(code, self._space(names), *rest)
            if name == "_function_setstate":
                return lambda function, state: self._set_state(found, function, state)
            if name in ("_make_skeleton_class", "_make_skeleton_enum"):
                return lambda *args: _note(found(*args), args)
        return found

    def _space(self, names: dict[str, Any]) -> dict[str, Any]:
        if MARK not in names:
            return names
        ours = self.guest.globals
        for name, value in names.items():
            if name != MARK:
                ours.setdefault(name, value)
        return ours

    def _set_state(self, proper: Callable[..., None], function: Any, state: tuple[Any, dict[str, Any]]) -> None:
        if function.__globals__ is self.guest.globals:
            values = state[1]["__globals__"]
            self.values.update(values)
            for name, value in values.items():  # what is unpickled further on may call this function already
                self.guest.globals.setdefault(name, value)
            state[1]["__globals__"] = {}
        proper(function, state)


def _note(kind: type, args: tuple[Any, ...]) -> type:
    tracker = args[-2]  # the last but one, for classes and enumerations alike
    if isinstance(tracker, str):
        came_here[kind] = tracker
    return kind


def _token(value: Any) -> object:
    """Equal for two values that were unpickled from the same; not changed by what is done to the value afterwards."""
    kind = type(value)
    if kind in _SIMPLE:
        return kind, value
    if kind is ModuleType:
        return kind, value.__name__
    try:
        stream = importlib.import_module("rookery.pool.values.by_value").dumps(value)
    except Exception:  # anything: the submitter's value is then always taken
        return object()
    return blake2b(stream, digest_size=16).digest()
