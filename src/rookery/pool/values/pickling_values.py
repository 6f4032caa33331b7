"""Values as bytes, and back.

A pickle of protocol 5, big buffers (arrays) beside it; what plain pickle refuses, or would only name although no worker
can import it (all of ``__main__``), is pickled by value and has a mark before it.
"""

from __future__ import annotations

import importlib
import pickle
from pickle import dumps, loads
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rookery.pool.values.guest import Guest

BESIDE = 64 << 10
"""Bytes from which on a buffer goes beside the stream."""
_BY_VALUE = b"V"  # a pickle of protocol 5 begins with 0x80
_BY_VALUE_BYTE = _BY_VALUE[0]
_SIMPLE = frozenset({int, float, bool, str, bytes, complex, type(None)})
_are_simple = _SIMPLE.issuperset

_guest: Guest | None = None


def settle(guest: Guest | None) -> None:
    """From now on this process is a worker: what comes by value finds its global names there."""
    global _guest  # noqa: PLW0603 - a process is a worker from its start to its end
    _guest = guest


def encode(value: Any) -> tuple[bytes, list[memoryview]]:
    """Pickle a value: (stream, its buffers of 64 KB and more, which are the value's own memory, not copies).

    Raises what plain pickle raised, its cause why pickling by value failed too. Thread-safe.
    """
    kind = type(value)
    if kind is tuple:
        # The arguments of most tasks: nothing that could need more than this.
        if len(value) == 2 and type(value[0]) is tuple and type(value[1]) is dict and _are_simple(map(type, value[0])):
            keywords = value[1]
            if not keywords or (_are_simple(map(type, keywords.values())) and _are_simple(map(type, keywords))):
                return dumps(value, 5), []
    elif kind in _SIMPLE:
        return dumps(value, 5), []
    buffers: list[memoryview] = []

    def stays(buffer: pickle.PickleBuffer) -> bool:
        try:
            raw = buffer.raw()
        except BufferError:  # not contiguous
            return True
        if raw.nbytes < BESIDE:
            return True
        buffers.append(raw)
        return False

    try:
        stream = dumps(value, 5, buffer_callback=stays)
    except MemoryError:
        raise
    except Exception as error:
        buffers.clear()
        return _by_value(value, stays, error), buffers
    if b"__main__" in stream:
        buffers.clear()
        return _by_value(value, stays, None), buffers
    return stream, buffers


def encode_whole(value: Any) -> bytes:
    """Pickle a value, buffers within it. Raises as encode() does."""
    try:
        stream = dumps(value, 5)
    except MemoryError:
        raise
    except Exception as error:
        return _by_value(value, None, error)
    return _by_value(value, None, None) if b"__main__" in stream else stream


def _by_value(value: Any, stays: Callable[[pickle.PickleBuffer], bool] | None, refused: Exception | None) -> bytes:
    try:
        stream: bytes = importlib.import_module("rookery.pool.values.by_value").dumps(value, stays)
    except Exception as error:
        if refused is None:
            raise
        raise refused from error
    return _BY_VALUE + stream


def decode(stream: bytes | memoryview, buffers: Iterable[Any] = ()) -> Any:
    """The value of encode() and encode_whole(). What it holds of the buffers keeps them alive.

    Raises whatever its unpickling raises.
    """
    if stream[0] == _BY_VALUE_BYTE:
        stream = memoryview(stream)[1:]
        return loads(stream, buffers=buffers) if _guest is None else _guest.loads(stream, buffers)[0]
    if _guest is None:
        return loads(stream, buffers=buffers)
    return _guest.plain_loads(stream, buffers)
