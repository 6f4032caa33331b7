"""How a time is written before a line: ISO 8601, strftime's directives, or the tokens of Day.js and Moment.

A pattern with a ``%`` is strftime's (besides: ``%f`` microseconds, ``%L`` milliseconds, ``%:z`` +02:00). Any other is
made of tokens, ``YYYY-MM-DD HH:mm:ss.SSS Z``, with ``[text]`` for what is to stay as it is; letters that are no token
stay too. Names of days and months are English in tokens, whatever the locale; weeks begin on Sunday for ``w`` and on
Monday for ``W``. Times are local; where an hour comes twice its offset tells which one it is.
"""

from __future__ import annotations

import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Piece = Callable[[time.struct_time, int], str]
    """What a part of the pattern becomes, given the local time and the second since 1970."""

ISO = "iso"
"""The pattern of ``timestamps = true``."""
_ISO_TOKENS = "YYYY-MM-DD[T]HH:mm:ss.SSSZ"
_MICROSECONDS = 1_000_000

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def compile_pattern(text: str) -> Callable[[float], str]:
    """The function that writes a wall time (seconds since 1970) by a pattern.

    It remembers what it wrote last: within the same second (or millisecond, where the pattern shows those) the same
    object comes back. Raises ValueError as check_pattern does.
    """
    if text == ISO:
        text = _ISO_TOKENS
    parts = _directives(text) if "%" in text else _tokens(text)
    pieces: list[Piece | int] = []
    for part in parts:
        if isinstance(part, str):
            pieces.append(_always(part))
        else:
            pieces.append(part)
    return _Writer(pieces).write


def check_pattern(text: str) -> None:
    """Raise ValueError, with what is wrong in words, for a text that is no pattern."""
    compile_pattern(text)


class _Writer:
    """Pieces, of which a number stands for so many digits of the fraction of the second."""

    __slots__ = ("_finest", "_last", "_pieces", "_second", "_text", "_tick")

    def __init__(self, pieces: list[Piece | int]) -> None:
        self._pieces = pieces
        digits = max((piece for piece in pieces if isinstance(piece, int)), default=0)
        self._finest = _MICROSECONDS // 10**digits
        self._tick = -1
        self._second: int | None = None
        self._text: list[str | int] = []
        self._last = ""

    def write(self, now: float) -> str:
        micro = round(now * _MICROSECONDS)
        tick = micro // self._finest
        if tick != self._tick:
            self._tick = tick
            second, fraction = divmod(micro, _MICROSECONDS)
            if second != self._second:
                self._second = second
                self._text = self._of_second(second)
            digits = f"{fraction:06d}"
            self._last = "".join([part if isinstance(part, str) else digits[:part] for part in self._text])
        return self._last

    def _of_second(self, second: int) -> list[str | int]:
        local = time.localtime(second)
        joined: list[str | int] = []
        text = ""
        for piece in self._pieces:
            if isinstance(piece, int):
                joined += [text, piece]
                text = ""
            else:
                text += piece(local, second)
        return [*joined, text]


def _always(text: str) -> Piece:
    return lambda _local, _second: text


def _offset(local: time.struct_time, colon: str) -> str:
    minutes = abs(local.tm_gmtoff) // 60
    return f"{'-' if local.tm_gmtoff < 0 else '+'}{minutes // 60:02d}{colon}{minutes % 60:02d}"


# -- strftime ----------------------------------------------------------------------------------------------------------

_DIRECTIVE = re.compile(r"%(:z|[-_0^#]?[EO]?.|)", re.DOTALL)
_KNOWN = frozenset("aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%")
_FRACTIONS = {"f": 6, "L": 3}


def _directives(text: str) -> list[Piece | int | str]:
    _refuse_control(text)
    parts: list[Piece | int | str] = []
    plain, position, has_time = "", 0, False
    for match in _DIRECTIVE.finditer(text):
        plain += text[position : match.start()]
        position = match.end()
        directive = match[1]
        if directive == "%":
            plain += "%"
            continue
        if directive in _FRACTIONS:
            piece: Piece | int = _FRACTIONS[directive]
        elif directive == ":z":
            piece = lambda local, _second: _offset(local, ":")  # noqa: E731
        elif directive == "n" or directive[-1:] not in _KNOWN:
            raise ValueError(
                f"the timestamps pattern {text!r} has {match[0]!r}, which is no strftime directive; "
                "write '%%' for a percent sign"
            )
        else:
            piece = _strftime(match[0])
        parts += [plain, piece] if plain else [piece]
        plain, has_time = "", True
    if not has_time:
        raise ValueError(f"the timestamps pattern {text!r} has nothing of the time; try '%Y-%m-%d %H:%M:%S'")
    return [*parts, plain + text[position:]]


def _strftime(directive: str) -> Piece:
    return lambda local, _second: time.strftime(directive, local)


# -- tokens ------------------------------------------------------------------------------------------------------------

# Longest first: DDD is the day of the year, as with Moment; plain Day.js has no such token.
_TOKEN = re.compile(
    r"\[([^\[\]]*)\]"
    r"|(YYYY|YY|Y|GGGG|GG|gggg|gg|Qo|Q|MMMM|MMM|MM|Mo|M|DDDD|DDDo|DDD|DD|Do|D|dddd|ddd|dd|do|d|E|e|ww|wo|w|WW|Wo|W"
    r"|HH|H|hh|h|kk|k|mm|m|ss|s|S{1,9}|A|a|zzz|zz|z|ZZ|Z|X|x)"
)


def _tokens(text: str) -> list[Piece | int | str]:
    _refuse_control(text)
    parts: list[Piece | int | str] = []
    position, has_time = 0, False
    for match in _TOKEN.finditer(text):
        parts.append(text[position : match.start()])
        position = match.end()
        token = match[2]
        if token is None:
            parts.append(match[1])
            continue
        has_time = True
        if token[0] == "S":  # more than six digits are filled up with zeros
            parts += [min(len(token), 6), "0" * (len(token) - 6)]
        elif token == "x":
            parts += [lambda _local, second: str(second), 3]
        else:
            parts.append(_PIECES[token])
    if not has_time:
        raise ValueError(
            f"the timestamps pattern {text!r} has nothing of the time; "
            "try 'YYYY-MM-DD HH:mm:ss.SSS' or '%Y-%m-%d %H:%M:%S', or true for ISO 8601"
        )
    return [*parts, text[position:]]


def _refuse_control(text: str) -> None:
    if not text.strip():
        raise ValueError("the timestamps pattern is empty; true writes ISO 8601, false no time")
    if any(character < " " and character != "\t" for character in text):
        raise ValueError(f"the timestamps pattern {text!r} must stay on one line and hold no control characters")


def _ordinal(number: int) -> str:
    teens = 10 <= number % 100 <= 20
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _sunday(local: time.struct_time) -> int:
    """The day of the week, Sunday being 0."""
    return (local.tm_wday + 1) % 7


def _iso_week(local: time.struct_time) -> tuple[int, int]:
    """Year and number of the week that begins on Monday and belongs to the year of its Thursday."""
    return _week_of(local, local.tm_yday - local.tm_wday + 3)


def _week(local: time.struct_time) -> tuple[int, int]:
    """Year and number of the week that begins on Sunday and belongs to the year of its Saturday."""
    return _week_of(local, local.tm_yday - _sunday(local) + 6)


def _week_of(local: time.struct_time, decisive: int) -> tuple[int, int]:
    """decisive: the day of the year that decides on the year of the week; it may lie outside of local's year."""
    year = local.tm_year
    if decisive < 1:
        year -= 1
        decisive += _length(year)
    elif decisive > _length(year):
        decisive -= _length(year)
        year += 1
    return year, (decisive - 1) // 7 + 1


def _length(year: int) -> int:
    return 366 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 365


def _twelve(local: time.struct_time) -> int:
    return local.tm_hour % 12 or 12


_PIECES: dict[str, Piece] = {
    "YYYY": lambda t, _: f"{t.tm_year:04d}",
    "YY": lambda t, _: f"{t.tm_year % 100:02d}",
    "Y": lambda t, _: str(t.tm_year),
    "Q": lambda t, _: str((t.tm_mon + 2) // 3),
    "Qo": lambda t, _: _ordinal((t.tm_mon + 2) // 3),
    "M": lambda t, _: str(t.tm_mon),
    "Mo": lambda t, _: _ordinal(t.tm_mon),
    "MM": lambda t, _: f"{t.tm_mon:02d}",
    "MMM": lambda t, _: _MONTHS[t.tm_mon - 1][:3],
    "MMMM": lambda t, _: _MONTHS[t.tm_mon - 1],
    "D": lambda t, _: str(t.tm_mday),
    "Do": lambda t, _: _ordinal(t.tm_mday),
    "DD": lambda t, _: f"{t.tm_mday:02d}",
    "DDD": lambda t, _: str(t.tm_yday),
    "DDDo": lambda t, _: _ordinal(t.tm_yday),
    "DDDD": lambda t, _: f"{t.tm_yday:03d}",
    "d": lambda t, _: str(_sunday(t)),
    "do": lambda t, _: _ordinal(_sunday(t)),
    "dd": lambda t, _: _DAYS[_sunday(t)][:2],
    "ddd": lambda t, _: _DAYS[_sunday(t)][:3],
    "dddd": lambda t, _: _DAYS[_sunday(t)],
    "e": lambda t, _: str(_sunday(t)),
    "E": lambda t, _: str(t.tm_wday + 1),
    "w": lambda t, _: str(_week(t)[1]),
    "wo": lambda t, _: _ordinal(_week(t)[1]),
    "ww": lambda t, _: f"{_week(t)[1]:02d}",
    "gg": lambda t, _: f"{_week(t)[0] % 100:02d}",
    "gggg": lambda t, _: f"{_week(t)[0]:04d}",
    "W": lambda t, _: str(_iso_week(t)[1]),
    "Wo": lambda t, _: _ordinal(_iso_week(t)[1]),
    "WW": lambda t, _: f"{_iso_week(t)[1]:02d}",
    "GG": lambda t, _: f"{_iso_week(t)[0] % 100:02d}",
    "GGGG": lambda t, _: f"{_iso_week(t)[0]:04d}",
    "H": lambda t, _: str(t.tm_hour),
    "HH": lambda t, _: f"{t.tm_hour:02d}",
    "h": lambda t, _: str(_twelve(t)),
    "hh": lambda t, _: f"{_twelve(t):02d}",
    "k": lambda t, _: str(t.tm_hour or 24),
    "kk": lambda t, _: f"{t.tm_hour or 24:02d}",
    "m": lambda t, _: str(t.tm_min),
    "mm": lambda t, _: f"{t.tm_min:02d}",
    "s": lambda t, _: str(t.tm_sec),
    "ss": lambda t, _: f"{t.tm_sec:02d}",
    "A": lambda t, _: "AM" if t.tm_hour < 12 else "PM",
    "a": lambda t, _: "am" if t.tm_hour < 12 else "pm",
    "Z": lambda t, _: _offset(t, ":"),
    "ZZ": lambda t, _: _offset(t, ""),
    "z": lambda t, _: t.tm_zone,
    "zz": lambda t, _: t.tm_zone,
    "zzz": lambda t, _: t.tm_zone,
    "X": lambda _, second: str(second),
}
