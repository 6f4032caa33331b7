"""What the documents say of every key of rook.toml: one text for the reference page and for the JSON Schema."""

from __future__ import annotations

import os
import tomllib
from functools import cache
from typing import NamedTuple

_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "manual.toml")


class Entry(NamedTuple):
    """One key. section: its heading on the page; type, default, meaning, example: Markdown, as in the page's table."""

    key: str
    section: str
    type: str
    default: str
    meaning: str
    example: str


@cache
def entries() -> tuple[Entry, ...]:
    """All keys, in the order of the page."""
    with open(_FILE, "rb") as file:
        return tuple(
            Entry(key=key, section=section, **texts)
            for section, keys in tomllib.load(file).items()
            for key, texts in keys.items()
        )


def table(section: str) -> list[str]:
    """The rows of one section of the page, without the heading of the table."""
    return [
        f"| `{one.key}` | {one.type} | {one.default} | {one.meaning} | `{one.example}` |".replace("|  |", "| |")
        for one in entries()
        if one.section == section
    ]
