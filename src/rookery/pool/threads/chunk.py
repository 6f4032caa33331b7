"""Several items of a map as one task of a thread pool: nothing is pickled, so each is what the caller gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rookery.pool.chunk_run import run_items

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Ran = tuple[list[Any], dict[int, Exception]]


def run_chunk(function: Callable[..., Any], items: Sequence[Any], are_single: bool) -> Ran:
    """See run_items."""
    return run_items(function, items, len(items), are_single=are_single)


def outcomes_of(ran: Ran) -> tuple[list[Any] | None, list[tuple[bool, Any]]]:
    """The values where all items went well; else None, and of each (whether it did, the value or the error)."""
    values, errors = ran
    if not errors:
        return values, []
    return None, [(False, errors[at]) if at in errors else (True, value) for at, value in enumerate(values)]
