"""Pickling by value what cannot be imported elsewhere: lambdas, closures, everything of a script or a notebook.

Imported when it is first needed: cloudpickle takes 20 ms.
"""

from __future__ import annotations

import functools
import io
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import cloudpickle  # type: ignore[import-untyped]
from cloudpickle import cloudpickle as inside

from rookery.pool.values.guest import MARK, came_here

if TYPE_CHECKING:
    import pickle
    from collections.abc import Callable

_PROTOCOL = 5
_MOST_REMEMBERED = 256
_LRU = type(functools.lru_cache(lambda: None))

_described: OrderedDict[type, None] = OrderedDict()
"""Classes that we described to others, the last ones: they must be here still when results name them."""


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc, no-any-unimported, unused-ignore]
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type):
            tracker = came_here.get(obj)
            if tracker is not None:
                return known_class, (tracker, obj.__qualname__)
            found = super().reducer_override(obj)
            if found is not NotImplemented:
                _described[obj] = None
                _described.move_to_end(obj)
                if len(_described) > _MOST_REMEMBERED:
                    _described.popitem(last=False)
            return found
        if type(obj) is _LRU and is_main(obj):
            return cached_again, (obj.__wrapped__, obj.cache_parameters(), dict(obj.__dict__))
        return super().reducer_override(obj)

    def _function_getnewargs(self, func: Any) -> Any:
        args = super()._function_getnewargs(func)
        main = sys.modules.get("__main__")
        if main is not None and func.__globals__ is main.__dict__:
            args[1][MARK] = True
        return args


def dumps(value: Any, buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None) -> bytes:
    """Pickle it, by value where needed. Raises whatever its pickling raises."""
    with io.BytesIO() as file:
        _Pickler(file, protocol=_PROTOCOL, buffer_callback=buffer_callback).dump(value)
        return file.getvalue()


def is_main(thing: Any) -> bool:
    """Whether it says that it is of the program itself, which no other process can import."""
    return getattr(thing, "__module__", None) == "__main__"


def known_class(tracker: str, name: str) -> type:
    """A class that this process once described to another. Raises LookupError where it is gone."""
    found: type | None = inside._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker)  # noqa: SLF001 - there is no other way to it
    if found is None:
        raise LookupError(f"the class {name} is not there any more: it was deleted, or defined anew")
    return found


def cached_again(function: Any, parameters: dict[str, Any], attributes: dict[str, Any]) -> Any:
    """functools.lru_cache around a function, with nothing in the cache yet."""
    found = functools.lru_cache(**parameters)(function)
    found.__dict__.update({name: value for name, value in attributes.items() if name != "__wrapped__"})
    return found


def registered() -> frozenset[str]:
    """Names of modules that the user asked to be pickled by value (cloudpickle.register_pickle_by_value)."""
    return frozenset(cloudpickle.list_registry_pickle_by_value())
