"""Several items of a map, one after the other; each has an outcome of its own."""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def run_items(
    function: Callable[..., Any], items: Iterable[Any], count: int, *, are_single: bool
) -> tuple[list[Any], dict[int, Exception]]:
    """The results in order, None where one failed, and the errors by place.

    count: how many items there are; are_single: each item is the one argument, else a tuple of arguments.
    """
    values: list[Any] = []
    errors: dict[int, Exception] = {}
    results = map(function, items) if are_single else starmap(function, items)
    while True:
        try:
            # What came before an error is in the list already, and the iterator goes on behind it: so nothing is
            # spent on the items that go well, which are all but a few.
            values.extend(results)
        except Exception as error:
            errors[len(values)] = error
        else:
            if len(values) >= count:
                return values, errors
            # extend() took it for the end of the items.
            errors[len(values)] = RuntimeError("the function raised StopIteration")
        values.append(None)
