"""What the manager asks for when it opens the pipes of a unit, checked."""

from __future__ import annotations

import os

from rookery.logs.maker import Format
from rookery.logs.period import PERIODS
from rookery.logs.rules import Rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]


class Stream:
    """One stream of a unit. path, combined: absolute ("": not combined); format: None for bytes as they are."""

    __slots__ = ("combined", "format", "path", "rules")

    def __init__(self, asked: Json) -> None:
        """Raises KeyError, TypeError or ValueError for what makes no sense."""
        self.path = log_path(asked["path"])
        self.combined = log_path(asked["combined"]) if asked.get("combined") else ""
        self.rules = _rules(asked)
        self.format = _format(asked)


def unit_key(request: Json) -> tuple[str, int]:
    """The unit and the generation of a request. Raises KeyError, TypeError or ValueError."""
    return str(request["unit"]), int(request["generation"])


def log_path(given: object) -> str:
    """A path that can be opened, or ValueError."""
    path = str(given)
    if not os.path.isabs(path) or "\0" in path:
        raise ValueError(f"a log file needs an absolute path: {path!r}")
    os.fsencode(path)  # raises UnicodeEncodeError here rather than half-way through
    return os.path.normpath(path)


def _rules(asked: Json) -> Rules:
    max_size, keep, rotate = int(asked["max_size"]), int(asked["keep"]), str(asked.get("rotate", "never"))
    on_full = asked.get("on_full", "drop")
    if max_size < 0 or keep < 0 or rotate not in PERIODS or on_full not in ("drop", "block"):
        raise ValueError(f"a log cannot be kept like that: {asked}")
    return Rules(max_size, keep, rotate=rotate, compress=bool(asked.get("compress", False)), blocks=on_full == "block")


def _format(asked: Json) -> Format | None:
    given = asked.get("format")
    if given is None:  # a manager of before there were formats
        return Format(timestamps="iso") if asked.get("timestamps") else None
    if not (given.get("timestamps") or given.get("prefix") or given.get("json")):
        return None
    return Format(
        timestamps=str(given.get("timestamps") or ""),
        prefix=str(given.get("prefix") or ""),
        json=bool(given.get("json")),
        app=str(given.get("app", "")),
        instance=int(given.get("instance", 0)),
        stream=str(given.get("stream", "out")),
    )
