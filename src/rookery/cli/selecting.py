"""Selectors as they are typed: a config file stands for all apps named in it. On the hot path.

The file is read here, by the calling user; the manager is sent names.
"""

from __future__ import annotations

import os

from rookery.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SELECTOR_HELP = "name, id, name:index, namespace, /regex/, a config file, all"


def selectors(words: Sequence[str]) -> list[str]:
    """What to send to the manager. Raises ConfigError for a file that cannot be read or names no apps."""
    return [_names_in(word) if word.endswith(".toml") and os.path.isfile(word) else word for word in words]


def check_named(command: str, words: Sequence[str]) -> None:
    """Raise UsageError where a command that wants selectors has none."""
    if not words:
        raise UsageError(f"rook {command} needs to know which apps", hint=f"a name or an id, or: rook {command} all")


def _names_in(path: str) -> str:
    import re

    from rookery.config.toml import app_names

    # One selector for all: some of them may not be known, and the others are meant all the same.
    return f"/^(?:{'|'.join(map(re.escape, app_names(path)))})$/"
