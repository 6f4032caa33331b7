"""argparse as we want it: examples first, defaults shown, our errors."""

from __future__ import annotations

import argparse

from rookery._base.units import parse_duration
from rookery.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

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


class _Formatter(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=100)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        if "default:" in text or not action.option_strings or action.default == argparse.SUPPRESS:
            return text
        default = "off" if action.default is False else "none" if action.default is None else "%(default)s"
        return f"{text} (default: {default})"


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


def add_waiting(parser: Parser) -> None:
    """``--wait`` and ``--timeout`` of the commands that change something."""
    parser.add_argument(
        "--wait",
        choices=WAITS,
        default="settled",
        metavar="|".join(WAITS),
        help="how long to wait; settled: ready, or alive for its min_uptime",
    )
    parser.add_argument("--timeout", type=duration, default=30.0, metavar="TIME", help="wait no longer (default: 30s)")
