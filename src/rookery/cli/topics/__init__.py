"""What ``rook help TOPIC`` says: one text file per topic in this folder, its first line the title."""

from __future__ import annotations

import os

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_ORDER = ("config", "ports", "selectors", "restart", "logs", "environment", "exit-codes")


def names() -> tuple[str, ...]:
    """The topics, in the order to be read."""
    return _ORDER


def text(name: str) -> str:
    """All of a topic, without the newline at its end. name: one of names()."""
    with open(os.path.join(_FOLDER, f"{name}.txt"), encoding="utf-8") as file:
        return file.read().rstrip("\n")


def title(name: str) -> str:
    """A topic's first line."""
    return text(name).partition("\n")[0]
