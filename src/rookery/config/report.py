"""From a wrong value to a ConfigError that says where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rookery.config.locate import KeyPath, dotted, line_of, lines_of
from rookery.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_OPTION_NAMES = {("env",): "set-env", ("max_restarts", "count"): "max-restarts", ("options",): "option"}
"""Where an option is not called like the key: --env names a profile, --max-restarts is the count alone, --option is
one of several."""


class BadValue(ValueError):
    """A value is wrong, and only the caller knows where it stands.

    problem: what is wrong; hint: what to try, or ""; path: the key below the caller's place, or ().
    """

    def __init__(self, problem: str, *, hint: str = "", path: KeyPath = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.path = path


class Source(Protocol):
    """Where settings come from."""

    def error(self, path: KeyPath, problem: str, hint: str = "") -> ConfigError:
        """The error that names the key at this path."""
        ...


class FileSource:
    """A configuration file. file: its path as the user wrote it; text: valid TOML."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._lines = lines_of(text)

    def error(self, path: KeyPath, problem: str, hint: str = "") -> ConfigError:
        """See Source; the line is that of the key, or of the table around a key that is missing."""
        line = line_of(self._lines, path)
        return ConfigError(problem, file=self.file, key=dotted(path), line=line, hint=hint)


class OptionSource:
    """Options of a command line. given: the keys that the user gave; a problem elsewhere names no option."""

    def __init__(self, given: Collection[str]) -> None:
        self._given = given

    def error(self, path: KeyPath, problem: str, hint: str = "") -> ConfigError:
        """See Source; ``("graceful_timeout",)`` is called ``--graceful-timeout``."""
        words = tuple(part for part in path if isinstance(part, str))
        if not words or words[0] not in self._given:
            return ConfigError(problem, hint=hint)
        name = _OPTION_NAMES.get(words) or _OPTION_NAMES.get(words[:1]) or "-".join(words).replace("_", "-")
        return ConfigError(problem, key=f"--{name}", hint=hint)


def in_order(problems: Sequence[ConfigError]) -> list[ConfigError]:
    """Each problem once, in the order of the file; those without a line last."""
    unique = {str(problem): problem for problem in problems}
    return sorted(unique.values(), key=lambda problem: problem.line or 10**9)


def first_of(problems: Sequence[ConfigError]) -> ConfigError:
    """The first problem in the order of the file; its hint says how many more there are."""
    first, *others = in_order(problems)
    if others:
        more = f"{len(others)} more problem{'s' if len(others) > 1 else ''} after this one"
        first.hint = f"{first.hint} ({more})" if first.hint else more
    return first
