"""Where each key of a TOML text stands: tomllib gives values without lines, people need lines.

The text has been accepted by tomllib before, so the scanner only follows it and need not judge it.
"""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

KeyPath = tuple[str | int, ...]
"""Keys from the outside in; a number is an element of a list, from 0."""

_TOKEN = re.compile(
    r"""
    (?P<text>\"\"\"(?:\\[\s\S]|[^\\])*?\"\"\"\"{0,2} | '''[\s\S]*?''''{0,2} | "(?:\\.|[^"\\\n])*" | '[^'\n]*')
    | (?P<comment>\#[^\n]*)
    | (?P<newline>\n)
    | (?P<mark>[\[\]{}=,.])
    | (?P<word>[^\s\[\]{}=,.\#"']+)
    """,
    re.VERBOSE,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def lines_of(text: str) -> dict[KeyPath, int]:
    """The line (from 1) on which each table, key and list element of a valid TOML text is first named."""
    scanner = _Scanner(_tokens(text))
    scanner.scan()
    return scanner.lines


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int | None:
    """The line of a path, else that of the nearest table around it; None where nothing of it is in the text."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def dotted(path: KeyPath) -> str:
    """A path as people write it: ``apps.web.args[1]``, parts quoted where TOML wants quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part) is not None
            text += ("." if text else "") + (part if bare else f'"{part}"')
    return text


def _tokens(text: str) -> list[_Token]:
    found = []
    line, seen = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", seen, match.start())
        seen = match.start()
        found.append(_Token(match.lastgroup or "", match.group(), line))
    return found


class _Scanner:
    """Walks the tokens of one text once."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self.lines: dict[KeyPath, int] = {}

    def scan(self) -> None:
        table: KeyPath = ()
        while self._skip("newline", "comment"):
            if self._takes("["):
                self._takes("[")
                table = self._key((), end="]")
                self._takes("]")
            else:
                self._value(self._key(table, end="="))

    def _key(self, outer: KeyPath, *, end: str) -> KeyPath:
        """Read a dotted key and its end; every table that it names on the way gets its line too."""
        path = outer
        while (token := self._next()) is not None and not (token.kind == "mark" and token.text == end):
            if token.kind in ("word", "text"):
                path = (*path, _plain(token))
                self.lines.setdefault(path, token.line)
        return path

    def _value(self, path: KeyPath) -> None:
        if self._takes("{"):
            while self._skip("newline", "comment") and not self._takes("}"):
                if not self._takes(","):
                    self._value(self._key(path, end="="))
        elif self._takes("["):
            index = 0
            while self._skip("newline", "comment") and not self._takes("]"):
                if not self._takes(","):
                    self.lines.setdefault((*path, index), self._tokens[self._at].line)
                    self._value((*path, index))
                    index += 1
        else:
            while (token := self._peek()) is not None:
                if token.kind in ("newline", "comment") or (token.kind == "mark" and token.text in ",]}"):
                    return
                self._at += 1

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> _Token | None:
        token = self._peek()
        self._at += 1
        return token

    def _takes(self, mark: str) -> bool:
        token = self._peek()
        if token is None or token.kind != "mark" or token.text != mark:
            return False
        self._at += 1
        return True

    def _skip(self, *kinds: str) -> bool:
        """Pass over these; whether anything is left."""
        while (token := self._peek()) is not None and token.kind in kinds:
            self._at += 1
        return token is not None


def _plain(token: _Token) -> str:
    if token.kind == "word":
        return token.text
    value: str = tomllib.loads(f"key = {token.text}")["key"]
    return value
