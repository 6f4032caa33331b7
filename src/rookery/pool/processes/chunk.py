"""Several items of a map as one task of a process pool. Runs on both sides.

Each item is pickled by itself, and so is each result: pickled together, two items which hold the same object would
share one copy in the worker, and what the first changes the second would see.
"""

from __future__ import annotations

import io
from itertools import chain
from pickle import Pickler, loads
from typing import TYPE_CHECKING, Any

from rookery.errors import ResultNotSent
from rookery.pool.chunk_run import run_items
from rookery.pool.processes import here
from rookery.pool.values.pickling import decode, decode_error, encode_error, encode_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})
"""Nothing of these can be changed: items may share them."""
_are_plain = _PLAIN.issuperset
_NUMBERS = frozenset({int, float, bool, type(None)})
_VALUE, _PICKLED, _ERROR = range(3)


def _together(items: Sequence[Any]) -> bytes | None:
    """The pickle of a list of numbers; None where there is anything else in it that two items might share.

    A pickler remembers all that it might have to refer to again, which no number is: so it says after the work what
    would cost more than the pickling itself to be asked of each item before.
    """
    if not items or type(items[0]) not in _NUMBERS:
        return None
    stream = io.BytesIO()
    pickler = Pickler(stream, 5)
    try:
        pickler.dump(items)
    except Exception:  # whose fault it is, pickling each by itself tells
        return None
    return stream.getvalue() if len(pickler.memo.copy()) <= 1 else None  # the list itself


def packed(items: Sequence[Any], *, are_single: bool) -> tuple[Any, bool]:
    """The items as one argument, and whether each is pickled by itself."""
    if are_single and (stream := _together(items)) is not None:
        return stream, False
    if _are_plain(map(type, items if are_single else chain.from_iterable(items))):
        return items, False
    return [encode_whole(item) for item in items], True


def run_chunk(
    number: int, definition: bytes, items: Sequence[Any] | bytes, are_pickled: bool, are_single: bool
) -> tuple[bytes, list[Any] | bytes]:
    """Call the function of that number with each item, in a worker; what unpacked() takes."""
    assert here.desk is not None
    function = here.desk.functions.get(number, definition)
    given: Sequence[Any] = loads(items) if isinstance(items, bytes) else items
    decoded = map(decode, given) if are_pickled else given
    values, errors = run_items(function, decoded, len(given), are_single=are_single)
    if not errors and (stream := _together(values)) is not None:
        return b"", stream
    if not errors and _are_plain(map(type, values)):
        return b"", values
    kinds = bytearray(len(values))
    for place, value in enumerate(values):
        error = errors.get(place)
        if error is None and type(value) not in _PLAIN:
            try:
                kinds[place], values[place] = _PICKLED, encode_whole(value)
            except Exception as failed:
                error = ResultNotSent("the result cannot be pickled", why=f"{type(failed).__name__}: {failed}")
                error.__cause__ = failed
        if error is not None:
            kinds[place], values[place] = _ERROR, encode_error(error)
    return bytes(kinds), values


def unpacked(result: tuple[bytes, list[Any] | bytes]) -> tuple[list[Any] | None, list[tuple[bool, Any]]]:
    """The values where all items went well; else None, and of each (whether it did, the value or the error)."""
    kinds, found = result
    values: list[Any] = loads(found) if isinstance(found, bytes) else found
    if not any(kinds):
        return values, []
    outcomes = [_outcome(kind, value) for kind, value in zip(kinds, values, strict=True)]
    if all(is_fine for is_fine, _ in outcomes):
        return [value for _, value in outcomes], []
    return None, outcomes


def _outcome(kind: int, value: Any) -> tuple[bool, Any]:
    if kind == _VALUE:
        return True, value
    if kind == _ERROR:
        return False, decode_error(value)
    try:
        return True, decode(value)
    except Exception as error:
        failed = ResultNotSent("the result cannot be unpickled", why=f"{type(error).__name__}: {error}")
        failed.__cause__ = error
        return False, failed
