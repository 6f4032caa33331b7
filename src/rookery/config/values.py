"""Converters for single values: each takes what TOML gives and raises BadValue for anything that does not fit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rookery._base.nearest import nearest
from rookery._base.units import parse_duration, parse_size
from rookery.config.report import BadValue
from rookery.logs.patterns import check_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

_SWITCHES = ("true", "false", "yes", "no", "on", "off", "none")
NEVER = "never"
"""How a limit is written that there is not to be."""
_NEVER_HINT = f'no limit is written "{NEVER}"'
_LARGEST = 2**63 - 1
"""The API's JSON integers have 64 bits."""


def expected(what: str, value: object, *, hint: str = "") -> BadValue:
    """The error for a value of a wrong type or kind."""
    return BadValue(f"must be {what}, not {show(value)}", hint=hint)


def show(value: object) -> str:
    """A value as the file has it, cut to a readable length; lists and tables only by their kind."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, int | float):
        return str(value) if abs(value) < 1e20 else f"{value:.0e}" if isinstance(value, float) else "a huge number"
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else "a date or time"


def text(value: object) -> str:
    """A string that is not empty."""
    if not isinstance(value, str):
        raise expected("a string", value)
    if not value.strip():
        raise BadValue("must not be empty")
    return without_nul(value)


def arguments(value: object) -> tuple[str, ...]:
    """A list of strings; whole numbers are taken as their text."""
    if not isinstance(value, list | tuple):
        raise expected("a list of strings", value, hint='write ["--port", "8000"]' if isinstance(value, str) else "")
    found = []
    for index, one in enumerate(value):
        if isinstance(one, int) and not isinstance(one, bool):
            found.append(str(one))
        elif isinstance(one, str):
            found.append(without_nul(one))
        else:
            problem = expected("a string", one)
            raise BadValue(problem.problem, path=(index,))
    return tuple(found)


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise expected("true or false", value)
    return value


def whole(least: int = 0, most: int = _LARGEST) -> Callable[[object], int]:
    """A converter for whole numbers within bounds."""

    def convert(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise expected("a whole number", value)
        if not least <= value <= most:
            bounds = f"{least} or more" if most == _LARGEST else f"from {least} to {most}"
            raise expected(bounds, value)
        return value

    return convert


whole_above_zero = whole(1)
"""A whole number from 1."""


def count_limit(value: object) -> int | None:
    """A whole number from 1, or ``"never"`` as None."""
    return None if value == NEVER else whole_above_zero(value)


def share(value: object) -> float:
    """A number from 0 to below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise expected("a number", value)
    if not 0 <= value < 1:
        raise expected("from 0 to below 1", value)
    return float(value)


def factor(value: object) -> float:
    """A finite number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise expected("a number", value)
    if not (1 <= value <= 1e6 and math.isfinite(value)):
        raise expected("from 1 to 1000000", value)
    return float(value)


def duration(value: object) -> float:
    """Seconds from a number or from a text such as ``"1m30s"``."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise expected("a duration such as 10, '500ms' or '1m'", value)
    try:
        return parse_duration(value)
    except OverflowError:
        raise expected("a duration such as 10, '500ms' or '1m'", value) from None
    except ValueError as error:
        raise BadValue(str(error)) from None


def duration_above_zero(value: object) -> float:
    """A duration that is no zero."""
    found = duration(value)
    if found == 0:
        raise expected("longer than zero", value)
    return found


def time_limit(value: object) -> float | None:
    """A duration above zero, or ``"never"`` as None."""
    if value == NEVER:
        return None
    try:
        found = duration(value)
    except BadValue as bad:
        raise BadValue(bad.problem, hint=bad.hint or _NEVER_HINT) from None
    if found == 0:
        raise expected("longer than zero", value, hint=_NEVER_HINT)
    return found


def whole_seconds(value: object) -> int:
    """A duration, rounded up to whole seconds."""
    return math.ceil(duration(value))


def size(value: object) -> int:
    """Bytes from a number or from a text such as ``"300M"``."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise expected("a size such as 1048576, '64K' or '300M'", value)
    try:
        found = parse_size(value)
    except OverflowError:
        found = _LARGEST + 1
    except ValueError as error:
        raise BadValue(str(error)) from None
    if found > _LARGEST:
        raise expected("a size such as 1048576, '64K' or '300M'", value)
    return found


def size_above_zero(value: object) -> int:
    """A size of at least one byte."""
    found = size(value)
    if found == 0:
        raise expected("more than zero bytes", value)
    return found


def choice(*words: str, later: tuple[str, ...] = ()) -> Callable[[object], str]:
    """A converter for one of these words. later: words that are promised but not supported yet."""

    def convert(value: object) -> str:
        if isinstance(value, str):
            if value in words:
                return value
            if value in later:
                raise BadValue(f"{value!r} is not supported yet", hint=f"use {' or '.join(words)}")
        near = nearest(value, words) if isinstance(value, str) else []
        raise expected(
            " or ".join(repr(word) for word in words), value, hint=f"did you mean {near[0]}?" if near else ""
        )

    return convert


def timestamps(value: object) -> bool | str:
    """True, false, or a pattern for times (strftime or Day.js tokens)."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise expected("true, false or a pattern such as '%H:%M:%S' or 'HH:mm:ss.SSS'", value)
    if value.lower() in _SWITCHES:  # letters of some of them are tokens of a pattern
        raise expected("true or false without quotes, or a pattern such as 'HH:mm:ss.SSS'", value)
    try:
        check_pattern(value)
    except ValueError as error:
        raise BadValue(str(error)) from None
    return value


def without_nul(value: str) -> str:
    """The text itself; neither an argument nor an environment can hold a NUL."""
    if "\0" in value:
        raise BadValue("must not contain a NUL character")
    return value
