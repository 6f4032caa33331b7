"""Scripts for a shell, with values that are never pasted.

A value travels beside the script, as an argument of the shell, and is put into a variable of it; where the placeholder
stood the script has that variable in double quotes. What a shell puts in for a variable is never read as script, so no
value can become one, whatever it holds.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, Any

from rookery.errors import UsageError
from rookery.process.command import Command, argument

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "busybox"})
_PREFIX = "_rookery_"
_TOKEN = re.compile(
    r"""
      (?P<escape> \\. )
    | (?P<ansi> \$'(?:\\.|[^'\\])*'? )
    | (?P<single> '[^']*'? )
    | (?P<expansion> \$\{ | \$\( | \$\[ | ` | \(\( )
    | (?P<here> <<< )
    | (?P<test> (?<![^\s;&|()!{])\[\[(?=\s) )
    | (?P<index> (?<=[A-Za-z0-9_])\[ )
    | (?P<double> " )
    | (?P<heredoc> << )
    | (?P<comment> (?:(?<=[\s;&|()])|\A)\#[^\n]* )
    | (?P<name> \{(?P<word>[A-Za-z_][A-Za-z0-9_]*)\} )
    """,
    re.VERBOSE | re.DOTALL,
)
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def shell_command(
    script: str, values: Mapping[str, object] | None, shell: str, options: Mapping[str, Any]
) -> Command[Any]:
    """The command that runs the script. Without values it is taken as it is. Raises UsageError."""
    if not values:
        return Command((shell, "-c", script), options, shown=script)
    if os.path.basename(shell) not in _SHELLS:
        raise UsageError(f"values can be given to {', '.join(sorted(_SHELLS))}, not to {shell!r}")
    words: list[str] = []
    variables: dict[str, list[str]] = {}
    shown: dict[str, str] = {}
    for name, value in values.items():
        items = [argument(item) for item in (value if isinstance(value, list | tuple) else [value])]
        shown[name] = shlex.join(items)
        variables[name] = [f"{_PREFIX}{number}" for number in range(len(words) + 1, len(words) + len(items) + 1)]
        words += items
    body = _Filler(script, {name: " ".join(f'"${{{one}}}"' for one in own) for name, own in variables.items()})
    filled = body.fill()
    taken = "".join(f"{_PREFIX}{number}=$1; shift; " for number in range(1, len(words) + 1))
    text = _PLACEHOLDER.sub(lambda found: shown.get(found[1], found[0]), script)
    return Command((shell, "-c", taken + filled, shell, *words), options, shown=text)


# bash, ksh and zsh calculate what stands there, and a calculation can run commands: a[$(rm -rf ~)].
_EVALUATED = {"test": "]]", "index": "]"}


class _Filler:
    """Puts words where placeholders stand, and refuses placeholders where a word is not a word."""

    def __init__(self, script: str, words: Mapping[str, str]) -> None:
        self._script = script
        self._words = words
        self._unused = set(words)

    def fill(self) -> str:
        pieces: list[str] = []
        at = 0
        while found := _TOKEN.search(self._script, at):
            pieces.append(self._script[at : found.start()])
            kind = found.lastgroup if found.lastgroup != "word" else "name"
            if kind == "name" or found["name"]:
                pieces.append(self._word(found["word"]))
                at = found.end()
                continue
            end = self._end(str(kind), found)
            piece = self._script[found.start() : end]
            self._refuse(piece, str(kind))
            pieces.append(piece)
            at = end
        pieces.append(self._script[at:])
        if self._unused:
            raise UsageError(f"the script has no placeholder {{{min(self._unused)}}}")
        return "".join(pieces)

    def _word(self, name: str) -> str:
        if name not in self._words:
            raise UsageError(f"there is no value for {{{name}}}", hint="quote it if the script means it literally")
        self._unused.discard(name)
        return self._words[name]

    def _end(self, kind: str, found: re.Match[str]) -> int:
        """Where the quoting that begins here ends."""
        if kind == "heredoc":
            return len(self._script)
        if kind == "double":
            return self._past(found.end(), '"')
        if kind in _EVALUATED:
            return self._past(found.end(), _EVALUATED[kind])
        if kind == "expansion":
            opening = found[0]
            if opening == "$(" and not self._script.startswith("$((", found.start()):
                return found.end()  # a script of its own, in which words are words
            return self._past(found.end(), {"${": "}", "`": "`", "$[": "]"}.get(opening, "))"))
        return found.end()

    def _past(self, at: int, mark: str) -> int:
        """Behind the next mark that is not escaped; with nested ones inside on the side of refusing too much."""
        while at < len(self._script):
            if self._script[at] == "\\":
                at += 2
            elif self._script.startswith(mark, at) and (mark != "]]" or self._script[at - 1].isspace()):
                return at + len(mark)
            elif mark == '"' and self._script.startswith(("$(", "${", "`"), at):
                closing = {"$(": ")", "${": "}"}.get(self._script[at : at + 2], "`")
                at = self._past(at + len(closing if closing == "`" else "$("), closing)
            elif mark in (")", "}", "]", "]]") and self._script[at] in "'\"":
                at = self._past(at + 1, self._script[at])
            elif mark == ")" and self._script[at] == "(":
                at = self._past(at + 1, ")")
            else:
                at += 1
        return len(self._script)

    def _refuse(self, piece: str, kind: str) -> None:
        for name in _PLACEHOLDER.findall(piece):
            if name in self._words:
                where = {
                    "single": "single quotes", "double": "double quotes", "ansi": "quotes", "comment": "a comment",
                    "heredoc": "or behind a here-document", "escape": "an escape", "test": "[[ ]]", "index": "an index",
                }.get(kind, "an expansion")  # fmt: skip
                raise UsageError(
                    f"{{{name}}} stands inside {where}",
                    hint="a placeholder is a word of its own: leave the quotes out, the value is quoted for you",
                )
