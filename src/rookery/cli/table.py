"""A table that fits its terminal. Pure; on the hot path."""

from __future__ import annotations

import os
import sys

from rookery.cli.output import BOLD, painted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GAP = 2


_SHORT, _SHORTEST = 20, 8
"""Characters that a cell keeps before a column is dropped for it, and when none is left to drop."""


class Column:
    """One column. rank: the column with the highest rank is dropped first; 0 is never dropped.

    shrinks: whether long cells may lose their end.
    """

    __slots__ = ("rank", "right", "shrinks", "title")

    def __init__(self, title: str, *, rank: int, right: bool = False, shrinks: bool = False) -> None:
        self.title = title
        self.rank = rank
        self.right = right
        self.shrinks = shrinks


def terminal_width() -> int | None:
    """Characters per line: COLUMNS, else the terminal's; None where there is none."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):  # no terminal, or no file at all
        return None


def fitting(columns: Sequence[Column], widths: Sequence[int], room: int | None) -> tuple[list[int], list[int]]:
    """Which columns (by position) fit into so many characters, and how wide they are all; all of them for no limit.

    What may shrink does so first, but not to less than can be read; then columns go; then it shrinks further.
    """
    kept, fitted = list(range(len(columns))), list(widths)
    if room is None:
        return kept, fitted
    _shrink(columns, fitted, kept, room, _SHORT)
    while _total(fitted, kept) > room:
        last = max(kept, key=lambda i: columns[i].rank)
        if columns[last].rank == 0:
            break
        kept.remove(last)
    for place in kept:  # a column that went may have left more room than was needed
        if columns[place].shrinks:
            fitted[place] = widths[place]
    for least in (_SHORT, _SHORTEST):
        _shrink(columns, fitted, kept, room, least)
    return kept, fitted


def _shrink(columns: Sequence[Column], widths: list[int], kept: list[int], room: int, least: int) -> None:
    for place in kept:
        if columns[place].shrinks and (excess := _total(widths, kept) - room) > 0:
            widths[place] = min(widths[place], max(least, len(columns[place].title), widths[place] - excess))


def _total(widths: Sequence[int], kept: list[int]) -> int:
    return sum(widths[i] for i in kept) + _GAP * (len(kept) - 1)


def layout(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    room: int | None,
    paint: Callable[[str, str], int | None] | None = None,
) -> tuple[list[str], list[str]]:
    """The lines of the table (a heading first), and the titles of the columns that were dropped.

    room: characters per line, or None for no limit; paint(title, cell) gives a cell's colour, None: no colour at all.
    """
    widths = [max([len(column.title), *(len(row[place]) for row in rows)]) for place, column in enumerate(columns)]
    kept, widths = fitting(columns, widths, room)
    on = paint is not None
    lines = [_line([(columns[i], columns[i].title, widths[i], BOLD) for i in kept], on=on)]
    for row in rows:
        cells = []
        for i in kept:
            colour = paint(columns[i].title, row[i]) if paint else None
            text = row[i] if len(row[i]) <= widths[i] else row[i][: widths[i] - 1] + "…"
            cells.append((columns[i], text, widths[i], colour))
        lines.append(_line(cells, on=on))
    dropped = [column.title for place, column in enumerate(columns) if place not in kept]
    return lines, dropped


def _line(cells: list[tuple[Column, str, int, int | None]], *, on: bool) -> str:
    parts = []
    for place, (column, text, width, colour) in enumerate(cells):
        space = " " * (width - len(text))
        shown = painted(text, colour, on=on)
        if column.right:
            parts.append(space + shown)
        else:  # no blanks at the end of a line
            parts.append(shown + space if place < len(cells) - 1 else shown)
    return (" " * _GAP).join(parts)
