"""Env files: KEY=VALUE lines with comments, quotes and an optional ``export``. Nothing is expanded."""

from __future__ import annotations

import re

from rookery.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_NAME = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=")
_BARE = re.compile(r"[^\n]*")
_SPACE = re.compile(r"[ \t]*")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:\\[\s\S]|[^"\\])*)"')
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?=\n|\Z)")
_COMMENT = re.compile(r"[ \t]+#[^\n]*")
_ESCAPE = re.compile(r"\\([ntr\n\"\\$`])")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\n": ""}


class WrongLineError(ValueError):
    """A line is wrong, and only the caller knows which. problem: what is wrong; hint: what to try."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def read_env_file(path: str) -> dict[str, str]:
    """The variables of a file. Raises ConfigError."""
    try:
        with open(path, encoding="utf-8-sig") as stream:
            return parse_env(stream.read(), path)
    except UnicodeDecodeError:
        raise ConfigError("it is not UTF-8 text", file=path) from None
    except OSError as error:
        raise ConfigError(f"the env file cannot be read: {error.strerror}", file=path) from None


def parse_env(text: str, file: str, check_name: Callable[[str], object] | None = None) -> dict[str, str]:
    """The variables in a text; a later line wins. file: its name for messages. Raises ConfigError.

    check_name: raises a ValueError (with problem and hint, where it has them) for a name that may not be used.
    """
    text = text.replace("\r\n", "\n")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        line = text[at : end if end >= 0 else len(text)]
        if not line.strip() or line.lstrip().startswith("#"):
            at += len(line) + 1
            continue
        number = text.count("\n", 0, at) + 1
        name = _NAME.match(text, at + len(line) - len(line.lstrip()))
        if name is None:
            raise ConfigError("this is not a line like KEY=VALUE", file=file, line=number, hint=_no_line_hint(line))
        try:
            if check_name is not None:
                check_name(name[1])
            value, at = _value(text, name.end())
        except ValueError as bad:
            problem, hint = getattr(bad, "problem", str(bad)), getattr(bad, "hint", "")
            raise ConfigError(problem, file=file, key=name[1], line=number, hint=hint) from None
        found[name[1]] = value
    return found


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that begins here, and where the next line begins."""
    space = _SPACE.match(text, at)
    start = space.end() if space else at
    quote = text[start : start + 1]
    if quote not in {'"', "'"}:
        bare = _BARE.match(text, at)
        value = _COMMENT.sub("", bare[0]).strip() if bare else ""
        _no_nul(value)
        return value, (bare.end() if bare else at) + 1
    quoted = (_DOUBLE if quote == '"' else _SINGLE).match(text, start)
    if quoted is None:
        raise WrongLineError(f"the value has no closing {quote}")
    rest = _REST.match(text, quoted.end())
    if rest is None:
        raise WrongLineError(f"there is something after the closing {quote}", "put the whole value in quotes")
    value = quoted[1]
    if quote == '"':
        value = _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), value)
    _no_nul(value)
    return value, rest.end() + 1


def _no_nul(value: str) -> None:
    if "\0" in value:
        raise WrongLineError("the value contains a NUL character")


def _no_line_hint(line: str) -> str:
    # Not the line itself: it may hold a secret.
    return "env files are not shell scripts" if "=" in line else "a name, '=' and a value"
