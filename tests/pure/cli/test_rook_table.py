from __future__ import annotations

import pytest

from rookery.cli.table import Column, layout

COLUMNS = (
    Column("id", rank=2, right=True),
    Column("name", rank=0),
    Column("pid", rank=1, right=True),
    Column("state", rank=0),
)
ROWS = [["1", "web", "100", "running"], ["12", "worker-long", "-", "fatal"]]


def test_numbers_stand_right_and_lines_end_without_blanks():
    lines, dropped = layout(COLUMNS, ROWS, room=None)
    assert lines == [
        "id  name         pid  state",
        " 1  web          100  running",
        "12  worker-long    -  fatal",
    ]
    assert dropped == []


@pytest.mark.parametrize(
    ("room", "dropped"),
    [
        (None, []),
        (29, []),
        (28, ["id"]),
        (25, ["id"]),
        (24, ["id", "pid"]),
        (20, ["id", "pid"]),
        (5, ["id", "pid"]),  # the rest is never dropped
    ],
)
def test_narrow_terminals_lose_the_least_wanted_columns_first(room, dropped):
    lines, missing = layout(COLUMNS, ROWS, room=room)
    assert missing == dropped
    assert len(lines) == 3
    if room is not None and room >= 20:
        assert max(map(len, lines)) <= room


def test_colour_does_not_change_the_layout():
    lines, _ = layout(COLUMNS, ROWS, room=None, paint=lambda title, cell: 31 if cell == "fatal" else None)
    assert lines[0].startswith("\x1b[1mid\x1b[0m")
    assert lines[1] == " 1  web          100  running"
    assert lines[2] == "12  worker-long    -  \x1b[31mfatal\x1b[0m"


def test_no_rows():
    assert layout(COLUMNS, [], room=None)[0] == ["id  name  pid  state"]


SHRINKING = (
    Column("id", rank=2, right=True),
    Column("name", rank=0, shrinks=True),
    Column("pid", rank=1, right=True),
    Column("state", rank=0),
)
LONG = [["1", "a" * 40, "100", "running"], ["2", "b" * 10, "7", "fatal"]]


@pytest.mark.parametrize(
    ("room", "name", "dropped"),
    [
        (None, "a" * 40, []),
        (58, "a" * 40, []),
        (57, "a" * 38 + "…", []),
        (38, "a" * 19 + "…", []),  # shorter it would be hard to tell apart,
        (37, "a" * 22 + "…", ["id"]),  # so a column goes, and the name takes its room
        (34, "a" * 19 + "…", ["id"]),
        (29, "a" * 19 + "…", ["id", "pid"]),
        (20, "a" * 10 + "…", ["id", "pid"]),
        (9, "a" * 7 + "…", ["id", "pid"]),
    ],
)
def test_long_names_lose_their_end_before_columns_go(room, name, dropped):
    lines, missing = layout(SHRINKING, LONG, room=room)
    assert missing == dropped
    assert name in lines[1].split()
    assert "b" * min(10, len(name)) in lines[2] or "…" in lines[2]
    if room is not None and room >= 17:
        assert max(map(len, lines)) <= room
