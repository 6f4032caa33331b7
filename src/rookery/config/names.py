"""What an app or a namespace may be called: names must not clash with selectors, log files or the cookie."""

from __future__ import annotations

import re

from rookery.config.report import BadValue

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LONGEST = 100
"""Log files are called after the app; a file name holds 255 bytes."""


def check_name(name: str) -> str:
    """The name itself. Raises BadValue where it may not be one."""
    problem = _problem(name)
    if problem:
        raise BadValue(f"{name!r} cannot be a name: {problem}", hint=f"for example {as_name(name)!r}")
    return name


def as_name(text: str) -> str:
    """The nearest allowed name to any text, such as a file's stem."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip(".-")[:_LONGEST]
    if not name:
        return "app"
    return f"app-{name}"[:_LONGEST] if _problem(name) else name


def _problem(name: str) -> str:
    if name == "all":
        return "'all' selects every app"
    if name.isdecimal():
        return "a number selects an app by its id"
    if len(name) > _LONGEST:
        return f"it is longer than {_LONGEST} characters"
    if _NAME.fullmatch(name) is None:
        return "use letters, digits, '_', '-' and '.', and begin with a letter, a digit or '_'"
    return ""
