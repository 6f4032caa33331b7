"""Reads tables of settings by a description of their keys.

The same descriptions serve the tables of a file and the options of a command line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rookery._base.nearest import nearest
from rookery.config.report import BadValue, Source, first_of
from rookery.config.values import expected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rookery.config.locate import KeyPath
    from rookery.errors import ConfigError


@dataclass(frozen=True)
class Scalar:
    """One value. convert: checks and converts, raises BadValue; parse: first makes a value of an option's text."""

    convert: Callable[[Any], object]
    parse: Callable[[str], object] | None = None


@dataclass(frozen=True)
class Fields:
    """A table with known keys.

    later: keys that are promised but not supported yet; elsewhere: hints for keys that belong somewhere else;
    shorthand: the key that a value which is no table stands for; stray: makes the hint for an unknown key.
    """

    known: Mapping[str, Kind]
    later: frozenset[str] = frozenset()
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    shorthand: str | None = None
    stray: Callable[[str, object], str] | None = None


@dataclass(frozen=True)
class Each:
    """A table whose keys are names of the user's. check: raises BadValue for a name that cannot be."""

    kind: Kind
    check: Callable[[str], object]


Kind = Scalar | Fields | Each
_BAD = object()


class Reader:
    """Reads settings from one source and collects what is wrong with them.

    texts: whether the values are texts of a command line, so that ``"2"`` may be a number.
    """

    def __init__(self, source: Source, *, texts: bool = False) -> None:
        self._source = source
        self._texts = texts
        self.problems: list[ConfigError] = []
        self.places: list[KeyPath] = []
        """The keys in which problems were found while reading."""

    def read(self, kind: Kind, value: object, path: KeyPath = ()) -> Any:
        """The converted value; tables come back as dictionaries without the keys that were wrong."""
        try:
            if isinstance(kind, Scalar):
                if self._texts and kind.parse is not None and isinstance(value, str):
                    value = kind.parse(value)
                return kind.convert(value)
            if isinstance(kind, Fields):
                return self._fields(kind, value, path)
            return self._each(kind, value, path)
        except BadValue as bad:
            self.report(path, bad)
            return _BAD

    def report(self, path: KeyPath, bad: BadValue) -> None:
        """Note a problem at a path (the error's own path comes below it)."""
        self.places.append((*path, *bad.path))
        self.problems.append(self._source.error((*path, *bad.path), bad.problem, bad.hint))

    def add(self, problem: ConfigError) -> None:
        """Note a problem that stands elsewhere, such as in an env file."""
        self.problems.append(problem)

    def check(self) -> None:
        """Raise the first ConfigError in the order of the file, if there was any."""
        if self.problems:
            raise first_of(self.problems)

    def _fields(self, kind: Fields, value: object, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if kind.shorthand is not None and not isinstance(value, dict):
            result = self.read(kind.known[kind.shorthand], value, path)
            return {} if result is _BAD else {kind.shorthand: result}
        for key, one in _table(value).items():
            if key not in kind.known:
                self.report((*path, key), _unknown(kind, key, one))
            elif (result := self.read(kind.known[key], one, (*path, key))) is not _BAD:
                found[key] = result
        return found

    def _each(self, kind: Each, value: object, path: KeyPath) -> dict[str, Any]:
        found = {}
        for key, one in _table(value).items():
            try:
                kind.check(key)
            except BadValue as bad:
                self.report((*path, key), bad)
                continue
            if (result := self.read(kind.kind, one, (*path, key))) is not _BAD:
                found[key] = result
        return found


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise expected("a table", value)
    return value


def _unknown(kind: Fields, key: str, value: object) -> BadValue:
    if key in kind.later:
        return BadValue("not supported yet", hint="leave it out for now")
    if key in kind.elsewhere:
        return BadValue("unknown key", hint=kind.elsewhere[key])
    near = nearest(key, kind.known)
    if near:
        return BadValue("unknown key", hint=f"did you mean {near[0]}?")
    hint = kind.stray(key, value) if kind.stray else f"known keys here: {', '.join(sorted(kind.known))}"
    return BadValue("unknown key", hint=hint)
