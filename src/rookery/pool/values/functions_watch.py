"""Whether a function that is pickled by value would give the same bytes again."""

from __future__ import annotations

import sys
from itertools import repeat
from operator import attrgetter, is_
from types import BuiltinFunctionType, CodeType, FunctionType, GenericAlias, ModuleType, UnionType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MISSING = object()
_CONSTANT = frozenset({type(None), bool, int, float, complex, str, bytes, range, type(...), type(NotImplemented)})
_slots = attrgetter(
    "__code__", "__defaults__", "__kwdefaults__", "__dict__", "__name__", "__qualname__", "__module__", "__doc__"
)


class Study(NamedTuple):
    """watch: None where something that the function refers to can change by itself; is_fresh: something that can change
    is in its closure, so that each task must get its own copy.
    """

    watch: Watch | None
    is_fresh: bool


class Watch:
    """All that a function refers to, which cannot change by itself: is it the same still?"""

    __slots__ = ("_cells", "_contents", "_functions", "_modules", "_names", "_own", "_sizes")

    def __init__(self, function: FunctionType) -> None:
        self._own = _slots(function)  # not the function, which would then live for ever
        self._names: list[tuple[Any, tuple[str, ...], tuple[Any, ...]]] = []
        self._sizes: list[tuple[dict[str, Any], int]] = []
        self._functions: list[tuple[Any, tuple[Any, ...]]] = []
        self._cells: list[Any] = []
        self._contents: list[Any] = []
        self._modules = 0  # how many modules there were, if that counts

    def is_same(self, function: FunctionType) -> bool:
        """Compares by identity; nothing of the function's is called."""
        if not all(map(is_, _slots(function), self._own)):
            return False
        for get, names, values in self._names:
            if not all(map(is_, map(get, names, repeat(_MISSING)), values)):
                return False
        for other, slots in self._functions:
            if not all(map(is_, _slots(other), slots)):
                return False
        for one, size in self._sizes:
            if len(one) != size:
                return False
        if self._cells and not all(map(is_, map(_contents, self._cells), self._contents)):
            return False
        return not self._modules or self._modules == len(sys.modules)

    def add_names(self, names: dict[str, Any], wanted: tuple[str, ...]) -> tuple[Any, ...]:
        """Watch these of a dict; their values."""
        values = tuple(names.get(name, _MISSING) for name in wanted)
        self._names.append((names.get, wanted, values))
        return values

    def add_all(self, names: dict[str, Any]) -> tuple[Any, ...]:
        """Watch everything in a dict."""
        if not names:
            self._sizes.append((names, 0))
            return ()
        values = self.add_names(names, tuple(names))
        self._sizes.append((names, len(values)))
        return values

    def add_function(self, function: FunctionType) -> None:
        """Watch the slots of a function that the watched one refers to."""
        self._functions.append((function, _slots(function)))

    def add_cells(self, cells: tuple[Any, ...]) -> list[Any]:
        """Watch these cells of a closure."""
        values = [_contents(cell) for cell in cells]
        self._cells += cells
        self._contents += values
        return values

    def count_modules(self) -> None:
        """A package is used: which of its modules are loaded counts."""
        self._modules = len(sys.modules)


def study(function: FunctionType) -> Study:
    """Look through all that the function refers to."""
    return _Look(function).through()


class _Look:
    def __init__(self, function: FunctionType) -> None:
        self._watch = Watch(function)
        self._root = function
        self._seen: set[int] = set()
        self._is_fixed = True
        self._is_fresh = False

    def through(self) -> Study:
        self._function(self._root)
        return Study(self._watch if self._is_fixed else None, self._is_fresh)

    def _function(self, function: FunctionType) -> None:
        if id(function) in self._seen:
            return
        self._seen.add(id(function))
        watch = self._watch
        if function is not self._root:
            watch.add_function(function)
        values = [*(function.__defaults__ or ()), *watch.add_all(function.__dict__)]
        if function.__kwdefaults__:
            values += watch.add_all(function.__kwdefaults__)
        try:
            values += watch.add_all(function.__annotations__)
        except Exception:  # annotations that are evaluated late can raise anything
            self._is_fixed = False
        values += watch.add_names(function.__globals__, tuple(dict.fromkeys(_names(function.__code__))))
        self._is_fixed &= self._are_constant(values)
        for value in watch.add_cells(function.__closure__ or ()):
            if not self._is_constant(value):
                self._is_fixed = False
                self._is_fresh = True

    def _are_constant(self, values: Iterable[Any]) -> bool:
        answers = [self._is_constant(value) for value in values]  # looks at all: one may make the answer "fresh"
        return all(answers)

    def _is_constant(self, value: Any) -> bool:
        """Whether it cannot change; a function is looked through, and can change the answer for all."""
        kind = type(value)
        if kind in _CONSTANT or value is _MISSING:
            return True
        if kind in (tuple, frozenset):
            return self._are_constant(value)
        if kind is FunctionType:
            if not is_importable(value):
                self._function(value)
            return True
        if kind is ModuleType:
            if hasattr(value, "__path__"):
                self._watch.count_modules()
            return value.__name__ != "__main__" and sys.modules.get(value.__name__) is value
        if kind in (GenericAlias, UnionType):
            return self._are_constant((getattr(value, "__origin__", None), *value.__args__))
        return isinstance(value, (type, BuiltinFunctionType)) and is_importable(value)


def is_importable(thing: Any) -> bool:
    """Whether another process gets this very thing (a function, a class) by importing its module."""
    module = getattr(thing, "__module__", None)
    if not isinstance(module, str) or module == "__main__":
        return False
    found: Any = sys.modules.get(module)
    if found is None or _is_by_value(module):
        return False
    try:
        for part in thing.__qualname__.split("."):
            found = getattr(found, part)
    except AttributeError:
        return False
    return found is thing


def _is_by_value(module: str) -> bool:
    by_value = sys.modules.get("rookery.pool.values.by_value") or sys.modules.get("cloudpickle")
    if by_value is None:
        return False
    names = sys.modules["cloudpickle"].list_registry_pickle_by_value()
    while module:
        if module in names:
            return True
        module = module.rpartition(".")[0]
    return False


def _names(code: CodeType) -> Iterator[str]:
    """All names that the code could look up: more than the global ones, which does no harm."""
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names(part)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing in it yet
        return _MISSING
