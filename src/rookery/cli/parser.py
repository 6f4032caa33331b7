"""argparse as we want it: examples first, defaults shown, our errors."""

from __future__ import annotations

import argparse
import sys

from rookery._base.units import parse_duration
from rookery.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from _typeshed import SupportsWrite

WAITS = ("settled", "ready", "started", "none")


class Parser(argparse.ArgumentParser):
    """The options of one command.

    command: its name; about: one line; examples: lines of ``command line  # what it does``; words: how the usage line
    shows what is no option; unknown_hint: what to try after an option that there is not.
    """

    def __init__(
        self, command: str, about: str, examples: Sequence[str], *, words: str = "", unknown_hint: str = ""
    ) -> None:
        super().__init__(
            prog=f"rook {command}",
            usage=" ".join(part for part in (f"rook {command}", words, "[OPTIONS]") if part),
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        self._about = about
        self._examples = examples
        self._unknown_hint = unknown_hint or f"see: {self.prog} --help"

    def format_help(self) -> str:
        """Examples, usage, options."""
        examples = "\n".join(f"  {line}" for line in self._examples)
        return f"{self._about}\n\nexamples:\n{examples}\n\n{super().format_help()}"

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """See argparse. Inside parser_of, hands the parser over instead."""
        if _CATCHING:
            raise _Caught(self)
        (sys.stdout if file is None else file).write(self.format_help())  # argparse would hide that it cannot

    @property
    def about(self) -> str:
        """What the command does."""
        return self._about

    @property
    def examples(self) -> tuple[str, ...]:
        """Command lines, each perhaps with blanks and what it does."""
        return tuple(self._examples)

    @property
    def actions(self) -> list[argparse.Action]:
        """Words and options in the order of the help, without ``--help`` and what is hidden."""
        return [one for one in self._actions if one.help != argparse.SUPPRESS and one.dest != "help"]

    def error(self, message: str) -> NoReturn:
        """See argparse; raises UsageError, with the option that was perhaps meant."""
        from rookery._base.nearest import nearest

        text, found, words = message.partition("unrecognized arguments: ")
        if not found or text:
            raise UsageError(f"{self.prog}: {message}", hint=f"see: {self.prog} --help")
        unknown = words.split(" ")[0].split("=")[0]
        near = [f"did you mean {name}?" for name in nearest(unknown, self._option_string_actions)]
        kind = "has no option" if unknown.startswith("-") else "takes no word"
        raise UsageError(f"{self.prog} {kind} {unknown}", hint=" ".join([*near, self._unknown_hint]))

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The options, which may stand before, between and after the words. Raises UsageError."""
        return self.parse_intermixed_args(argv)


class _Caught(BaseException):
    """Carries a parser out of its command; no handler of errors on the way takes it for one."""

    def __init__(self, parser: Parser) -> None:
        super().__init__()
        self.parser = parser


_CATCHING: list[str] = []
"""Whose parser is being asked for."""


def parser_of(name: str, run: Callable[[list[str]], int]) -> Parser:
    """The parser that a command makes when it is asked for help; how completion and the reference know its options.

    run: the command. Raises LookupError where it shows no help. One thread at a time.
    """
    _CATCHING.append(name)
    try:
        run(["--help"])
    except _Caught as caught:
        return caught.parser
    finally:
        _CATCHING.pop()
    raise LookupError(f"rook {name} --help makes no parser")


def default_of(action: argparse.Action) -> str:
    """An option's default as its help says it: in the text itself, else its value; "" for a word."""
    text = action.help or ""
    if "default:" in text or not action.option_strings or action.default == argparse.SUPPRESS:
        return ""
    return "off" if action.default is False else "none" if action.default is None else str(action.default)


class _Formatter(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=100)

    def _get_help_string(self, action: argparse.Action) -> str:
        text, default = action.help or "", default_of(action)
        return f"{text} (default: {default.replace('%', '%%')})" if default else text


def duration(text: str) -> float:
    """An option's value in seconds, for argparse's ``type``."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def count(text: str) -> int:
    """An option's value that counts something: a whole number from 0, for argparse's ``type``."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0")
    return int(text)


def add_json(parser: Parser) -> None:
    """``--json``: the same words for all commands."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_waiting(parser: Parser, *, timeout: str = "30s") -> None:
    """``--wait`` and ``--timeout`` of the commands that change something."""
    parser.add_argument(
        "--wait",
        choices=WAITS,
        default="settled",
        metavar="|".join(WAITS),
        help="how long to wait; settled: ready, or alive for its min_uptime",
    )
    parser.add_argument(
        "--timeout",
        type=duration,
        default=parse_duration(timeout),
        metavar="TIME",
        help=f"wait no longer (default: {timeout})",
    )
