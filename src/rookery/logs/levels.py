"""How grave a line is, by what loggers of many kinds write at its beginning.

Looked at are JSON's ``"level"``, logfmt's ``level=``, a word such as ``ERROR`` or ``[error]`` after times, brackets
and dashes, glog's ``E0102``, npm's ``ERR!``, syslog's ``<3>``, and how exceptions begin. A level inside a sentence is
none. In capitals a word counts as it stands; in small letters only with what loggers put after it (``error: ``).
"""

from __future__ import annotations

import json
import re
from functools import cache

from rookery._base.nearest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ORDER = ("trace", "debug", "info", "warning", "error", "critical")
"""From the least to the gravest."""
LOOK = 4096
"""Bytes of a line that are looked at."""

_ALIASES = {
    "trace": "trace trc finest finer silly",
    "debug": "debug dbg fine verbose verb vrb",
    "info": "info inf information informational notice log default http",
    "warning": "warning warn wrn",
    "error": "error err severe",
    "critical": "critical crit fatal ftl panic dpanic alert emerg emergency",
}
_LEVEL_OF = {word: level for level, words in _ALIASES.items() for word in words.split()}
_SYSLOG = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")
_GLOG = {b"I": "info", b"W": "warning", b"E": "error", b"F": "critical"}
_ONLY_NAMED = {"default", "http", "fine", "silly", "verb"}
"""Words that begin sentences too: believed only after ``level=`` and the like."""
_ONLY_CAPITALS = {"log"}
"""``LOG:`` is PostgreSQL's, ``log:`` anybody's."""
_CONTINUES = frozenset(b" \t\r\n})")

# What may stand before the level. Each is bounded, so that LOOK bytes always decide, and taken whole or not at all:
# a line of a thousand brackets must not be tried in a thousand ways.
_FILLER = (
    r"(?>\x1b\[[0-9;]{0,20}m"
    r"|\d[\w:.,/+#-]{0,40}+"
    r"|\[(?=[\d\x1b])|\[(?![\d\x1b\n])[^\]\n]{0,80}+\]|\([^)\n]{0,80}+\)"
    r"|[-+|*=:,>#\]\"']"
    r"|[DIWEFAU], "
    r"|(?:UTC|GMT|AM|PM|PHP|CES?T|[ECMP][SD]T|Mon|Tue|Wed|Thu|Fri|Sat|Sun"
    r"|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b"
    r"|(?<=- )[\w.:/-]{1,80}+(?= - )"
    r"|[^\s:|\[\]]{1,120}+:\d{1,6}(?::(?:\d{1,6}:)?|(?= \|))"
    r")[ \t]{0,20}+"
)
_AFTER_SMALL = r"(?:\x1b\[[0-9;]{0,20}m)?(?:[\]):|!>]|\[\w| - |[ \t]{1,8}\|)"
_SIGNS = (
    r"Traceback \(most recent |Exception in thread |Caused by: |During handling of the above |The above exception was "
    r"|thread '[^'\n]{0,80}' panicked|(?:Fatal|Parse) error: "
)


# For passing over lines quickly. First words of lines that tell a level further on, or may:
_MEANINGFUL = (
    r"(?:npm|Exception|Traceback|Caused|During|The|Fatal|Parse|thread"
    r"|Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
)
_TIMES = r"(?:\d[\w:.,/+#-]{0,40}+ {1,4}+){0,4}+"
_ACCESS = (
    r"\d[\d.]{6,14} - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
    r' "(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) '
)


def _levels_at(words: Iterable[str]) -> str:
    """What follows the beginning of a line that tells its level, by one of these words or by other means.

    Groups: 1 a word, 2 an exception, 3 a logfmt key, 4 npm's word, 5 glog's letter, 6 syslog's number.
    """
    known = sorted((word for word in words if word not in _ONLY_NAMED), key=len, reverse=True)
    capitals = "|".join(known).upper()
    small = "|".join(word for word in known if word not in _ONLY_CAPITALS)
    return (
        rf"(?:(?:{_FILLER}){{0,12}}?"
        r"(?:(?:[\[(<]|\[\w{1,20}:)?"
        # The looks ahead are for speed: most lines have neither.
        rf"((?=[A-Z]{{3}})(?:{capitals})(?![\w=]|\.\w)"
        rf"|(?=[A-Za-z]{{3,13}}+{_AFTER_SMALL})(?i:{small})(?![A-Za-z]))"
        r"|([A-Z_a-z][\w.]{0,120}+(?:(?<=Error)|(?<=Exception)|(?<=Warning))(?=:|\r|\n|\Z)"
        rf"|{_SIGNS})"
        r"|([\w.@]{1,40}+)=)"
        r"|npm (ERR!|\w{4,7}\b)"
        r"|([IWEF])\d{4} \d\d:\d\d"
        r"|<(\d{1,3})>)"
    )


_GOES_ON = re.compile(rb"[ \t+|]{0,40}(?:Exception Group )?Traceback \(most recent | (INFO|WARN) ")
# The same with a time and ``name:index | `` before it, as it is in the log.
_STAMPED = re.compile(rb"(?:[+\d][\d:.,TZ/+-]{4,40}+ ){0,3}(?:[^\s|]{1,120}+ \| )?(?=[ \t]{2}|\t|[})]|\r?\n|\r?\Z)")
_OF_DEFAULT = {"info": rb'\{"level":(?:"info"|30)[,}]', "error": rb'\{"level":(?:"error"|50)[,}]'}
_VALUE = rb'(?:"([A-Za-z]{1,16})"|"?(\d{1,3}))(?=["\s,}]|\Z)'
_JSON_FIRST = re.compile(rb'\{\s{0,4}"(?:level|severity|lvl)"\s{0,4}:\s{0,4}' + _VALUE)
_JSON_ANY = re.compile(
    rb'"(@?level|severity|lvl|level_?name|log[._]?level|Level|LogLevel|LEVEL)"\s{0,4}:\s{0,4}' + _VALUE
)
_LOGFMT = re.compile(rb"(?:\A|[\s,|])(?:level|lvl|severity|loglevel)=[\"']?(\w{1,16})")


def level_of(line: bytes, stream: str, before: str | None = None) -> str:
    """The level of one line, with its end or without.

    stream: "err" makes a line that tells nothing an error. before: the level of the line before it; a line that goes on
    with that one (indented, empty, a closing brace) has the same. Only LOOK bytes are looked at.
    """
    if len(line) > LOOK:
        line = line[:LOOK]
    if not line or line[0] in _CONTINUES:
        match = _GOES_ON.match(line)
        if match is None:
            return before or default_of(stream)
        return _LEVEL_OF[match[1].decode().lower()] if match[1] else "error"
    found = None
    if line[0] == 0x7B:  # {
        found = _of_json(line)
    else:
        match = _begins().match(line)
        if match is not None:
            found = _of_match(match, line)
    if found is None and before is not None and _STAMPED.match(line):
        return before
    return found or default_of(stream)


def default_of(stream: str) -> str:
    """The level of lines that tell none."""
    return "error" if stream == "err" else "info"


def levels_in(block: bytes, stream: str, before: str | None = None) -> list[tuple[int, str]]:
    """The levels of all lines of a block that begins with a line: (offset, level) where the level changes.

    The same as level_of line by line, but lines that tell nothing, or the same as before (most), are passed over
    together.
    """
    default = default_of(stream)
    text = b"\n" + block  # a line begins in text where its number of bytes is in block, with the end of the one before
    changes: list[tuple[int, str]] = []
    level, shown, at, size = before or default, "", 0, len(block)
    while at < size:
        match = (_others(default) if level == default else _unlike(level)).search(text, at)
        start = match.start() if match is not None else size
        if start > at and shown != level:
            shown = level
            changes.append((at, level))
        if start >= size:
            break
        end = block.find(b"\n", start) + 1 or size
        level = level_of(block[start : min(end, start + LOOK)], stream, level)
        if level != shown:
            shown = level
            changes.append((start, level))
        at = end
    return changes


def parse_level(text: str) -> str:
    """The level that a user means: a name of ORDER or one of their other usual names, in any case.

    Raises ValueError with the nearest right word.
    """
    word = text.strip().lower()
    if word in _LEVEL_OF:
        return _LEVEL_OF[word]
    near = nearest(word, _LEVEL_OF) if word else []
    hint = f"did you mean {near[0]!r}?" if near else f"the levels are {', '.join(ORDER)}"
    raise ValueError(f"there is no level {text!r}; {hint}")


@cache  # compiled when first needed: 3 ms that most collectors never spend
def _begins() -> re.Pattern[bytes]:
    """A line that tells its level."""
    return re.compile(_levels_at(_LEVEL_OF).encode())


@cache
def _others(default: str) -> re.Pattern[bytes]:
    """Where a line begins whose level may be another than the default one: finds too many, never too few."""
    words = [word for word, level in _LEVEL_OF.items() if level != default]
    json_line = rb"(?=\{)(?!" + _OF_DEFAULT[default] + rb")"
    found = rb"|".join((json_line, _levels_at(words).encode(), _GOES_ON.pattern))
    return re.compile(rb"\n(?!" + _says_nothing(default).encode() + rb")(?:" + found + rb")")


@cache
def _unlike(level: str) -> re.Pattern[bytes]:
    """Where a line begins after one of that level, not the default one, that may have another; too many, never too few.

    The same have lines that go on with it, and those that tell it in the plainest way.
    """
    goes_on = rb"(?!" + _GOES_ON.pattern + rb")[ \t\r\n})]"
    return re.compile(rb"\n(?!" + goes_on + rf"|{_TIMES}(?:{_capitals(level)})[ :]".encode() + rb")")


def _says_nothing(default: str) -> str:
    """How most lines begin that have the default level, for speed: what this matches need not be looked at closely.

    Times, numbers and the like, and then a word of no meaning, or the level that is the default one anyway. It must
    be sure: after the word comes what cannot follow a level, and the word may stand before none.
    """
    capitals = _capitals(default)
    return (
        rf"{_TIMES}(?:(?!{_MEANINGFUL})[A-Za-z][a-z]{{1,30}}+ (?=[A-Za-z0-9])|[a-z]{{2,120}}+\n|(?:{capitals})[ :])"
        rf"|{_ACCESS}"
        rf"|(?:time|ts)=[^\s,|]{{1,40}}+ level=(?:{capitals.lower()})[ \n]"
    )


def _capitals(level: str) -> str:
    """The words for a level, as they are believed wherever they stand."""
    return "|".join(word.upper() for word, one in _LEVEL_OF.items() if one == level and word not in _ONLY_NAMED)


def _of_match(match: re.Match[bytes], line: bytes) -> str | None:
    kind = match.lastindex
    if kind == 1:
        return _LEVEL_OF[match[1].decode().lower()]
    if kind == 2:
        return "warning" if match[2].endswith(b"Warning") else "error"
    if kind == 3:
        named = _LOGFMT.search(line)
        return _named(named[1]) if named is not None else None
    if kind == 4:
        return _named(match[4].rstrip(b"!"))
    if kind == 5:
        return _GLOG[match[5]]
    return _SYSLOG[int(match[6]) & 7]


def _of_json(line: bytes) -> str | None:
    first = _JSON_FIRST.match(line)
    if first is not None:
        return _named(first[1]) if first[1] else _numbered(first[2])
    # Nested objects may have levels of their own.
    found = [match for match in _JSON_ANY.finditer(line) if match[2] is None or _named(match[2])]
    if not found:
        return None
    if len(found) > 1:
        try:
            top = json.loads(line)
        except ValueError:  # cut off, or no JSON after all
            top = {}
        for match in found:
            level = _named(str(top.get(match[1].decode(), "")).encode())
            if level:
                return level
    return _named(found[0][2]) if found[0][2] else _numbered(found[0][3])


def _named(word: bytes) -> str | None:
    level = _LEVEL_OF.get(word.decode("ascii", "replace").lower())
    return level if level is not None or not word.isdigit() else _numbered(word)


def _numbered(number: bytes) -> str:
    """Of pino and bunyan (10 to 60), or of syslog (0 to 7)."""
    value = int(number)
    return _SYSLOG[value] if value < len(_SYSLOG) else ORDER[max(0, min(value // 10, len(ORDER)) - 1)]
