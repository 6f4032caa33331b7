"""The last lines that a copy wrote to stderr."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from rookery.logs.tail import MOST, last_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

LINES = 10
LINE_LENGTH = 500
_log = logging.getLogger(__name__)


def last_words(place: Sequence[Any] | None, began_at: int | None) -> tuple[str, ...]:
    """Its last lines, 10 at most, 500 characters each.

    place: path and size of its file, and where it began in it, as the collector tells; older collectors do not tell
    the last. began_at: how large the file was when the copy was started, None where nobody here saw that.
    """
    if not place:
        return ()
    path, end = str(place[0]), int(place[1])
    try:
        lines = last_lines(path, LINES, max_bytes=min(_written(place, end, began_at), MOST))
    except OSError as error:  # somebody has put something else in its place
        _log.warning("the last words are not to be had: %s", error)
        return ()
    return tuple(line.decode("utf-8", "replace").rstrip("\r\n")[:LINE_LENGTH] for line in lines)


def _written(place: Sequence[Any], end: int, began_at: int | None) -> int:
    """Bytes before the end that are this copy's."""
    if len(place) > 2:
        began = int(place[2])
        # It began further on and now from the start: rotated since, what is before this file is its own, or nearly so.
        return MOST if began == 0 and began_at else end - began
    if began_at is None:
        return MOST
    return end - began_at if end >= began_at else MOST
