"""The programs of the page on threads run, and say what they should."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "thread-pool.md"


def test_its_programs(capsys):
    first, second = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(first, "first", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["9 [0, 1, 4, 9, 16]", "16", "5 is here", "25"]
    assert sorted(map(int, lines[4:])) == [0, 1, 4, 9, 16]
    exec(compile(second, "second", "exec"), {})
    assert capsys.readouterr().out == "[101, 103, 106] 106\n"
