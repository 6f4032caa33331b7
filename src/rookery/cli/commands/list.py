"""``rook list``: all instances in a table. On the hot path."""

from __future__ import annotations

import os
import sys

from rookery._base.units import format_duration, format_size
from rookery.cli.hints import say_hints
from rookery.cli.looking import looking_client
from rookery.cli.output import STATE_COLOURS, as_json, harmless, is_coloured, put, say
from rookery.cli.quick import quick
from rookery.cli.selecting import SELECTOR_HELP
from rookery.cli.selecting import selectors as chosen
from rookery.cli.table import Column, layout, terminal_width
from rookery.control import places
from rookery.control.client import with_selectors
from rookery.control.launch import has_apps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COLUMNS = (
    Column("id", rank=4, right=True),
    Column("name", rank=0, shrinks=True),
    Column("ns", rank=8, shrinks=True),
    Column("#", rank=1, right=True),
    Column("pid", rank=2, right=True),
    Column("state", rank=0),
    Column("↺", rank=3, right=True),
    Column("uptime", rank=5, right=True),
    Column("cpu", rank=7, right=True),
    Column("mem", rank=6, right=True),
)
_BIND = Column("bind", rank=9, shrinks=True)
_TOLD = ("backoff", "fatal", "exited")
_MOST_REASONS = 10


def run(argv: list[str]) -> int:
    """See ``rook list --help``. Raises NothingMatched for selectors that match nothing."""
    selectors, flags = quick(argv, ("--json",)) or _parsed(argv)
    rows = _rows(selectors)
    if "--json" in flags:
        put(as_json(rows))
        say_hints(rows)
    elif not rows:
        if has_apps(places.home(os.environ)):
            say("nothing runs; start what was stopped with: rook start all")
        else:
            say("no apps; start one with: rook start app.py")
    else:
        _print(rows)
        say_hints(rows)
    return 0


def _rows(selectors: list[str]) -> list[dict[str, Any]]:
    client = looking_client(selectors)
    if client is None:
        return []
    rows: list[dict[str, Any]] = client.request("GET", with_selectors("/v1/instances", chosen(selectors)))[1]
    if client.warning:
        say(f"warning: {client.warning}")
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    paint = (
        (lambda title, cell: STATE_COLOURS.get(cell) if title == "state" else None) if is_coloured(sys.stdout) else None
    )
    columns: tuple[Column, ...] = COLUMNS
    table = [cells(row) for row in rows]
    if any(row.get("bind") for row in rows):
        columns = (*COLUMNS, _BIND)
        table = [[*line, row.get("bind") or "-"] for line, row in zip(table, rows, strict=True)]
    lines, dropped = layout(columns, table, room=terminal_width(), paint=paint)
    put("\n".join([*lines, *reasons(rows)]))
    if dropped:
        number = "1 column" if len(dropped) == 1 else f"{len(dropped)} columns"
        say(f"{number} hidden ({', '.join(dropped)}); the terminal is narrow, --json shows all")


def cells(row: dict[str, Any]) -> list[str]:
    """What the table shows of an InstanceRow, in the order of COLUMNS."""
    return [
        str(row["id"]),
        row["name"],
        row["namespace"],
        str(row["index"]),
        _or_dash(row["pid"], str),
        row["state"],
        str(row["restarts"]),
        _or_dash(row["uptime"], format_duration),
        _or_dash(row["cpu"], lambda cpu: f"{cpu:.1f}%"),
        _or_dash(row["memory"], format_size),
    ]


def reasons(rows: list[dict[str, Any]]) -> list[str]:
    """One line for each instance that is down by itself, with why; 10 at most."""
    down = [row for row in rows if row["state"] in _TOLD and row["exit"] is not None]
    lines = [
        f"  {row['name']}:{row['index']}  {row['state']}: {harmless(row['exit']['reason'])}"
        for row in down[:_MOST_REASONS]
    ]
    if len(down) > _MOST_REASONS:
        lines.append(f"  and {len(down) - _MOST_REASONS} more")
    return lines


def _or_dash(value: Any, shown: Any) -> str:
    return "-" if value is None else str(shown(value))


def _parsed(argv: list[str]) -> tuple[list[str], set[str]]:
    from rookery.cli.parser import Parser, add_json

    parser = Parser(
        "list",
        "Show all instances, or those that match.",
        ("rook list", "rook list web shop", "rook list --json"),
        words="[SELECTOR...]",
    )
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help=SELECTOR_HELP)
    add_json(parser)
    options = parser.parse(argv)
    return options.selectors, {"--json"} if options.json else set()
