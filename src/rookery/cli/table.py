"""A table that fits its terminal. Pure; on the hot path."""

from __future__ import annotations

from rookery.cli.output import BOLD, painted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GAP = 2


class Column:
    """One column. rank: the column with the highest rank is dropped first; 0 is never dropped."""

    __slots__ = ("rank", "right", "title")

    def __init__(self, title: str, *, rank: int, right: bool = False) -> None:
        self.title = title
        self.rank = rank
        self.right = right


def fitting(columns: Sequence[Column], widths: Sequence[int], room: int | None) -> list[int]:
    """Which columns (by position) fit into so many characters; all of them for no limit."""
    kept = list(range(len(columns)))
    while room is not None and sum(widths[i] for i in kept) + _GAP * (len(kept) - 1) > room:
        last = max(kept, key=lambda i: columns[i].rank)
        if columns[last].rank == 0:
            break
        kept.remove(last)
    return kept


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
    kept = fitting(columns, widths, room)
    on = paint is not None
    lines = [_line([(columns[i], columns[i].title, widths[i], BOLD) for i in kept], on=on)]
    for row in rows:
        cells = []
        for i in kept:
            colour = paint(columns[i].title, row[i]) if paint else None
            cells.append((columns[i], row[i], widths[i], colour))
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
