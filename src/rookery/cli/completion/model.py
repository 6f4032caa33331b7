"""What can be completed: commands, their options and what these take. Read from the parsers themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from rookery.cli import main, topics
from rookery.cli.parser import parser_of
from rookery.cli.start_options import SETTINGS
from rookery.config.schema import words_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

Kind = Literal["none", "words", "files", "folders", "names", "targets"]
"""What a value can be; targets: names and files."""

_BY_METAVAR: dict[str, Kind] = {
    "DIR": "folders",
    "FILE": "files",
    "FOLDER": "folders",
    "PROGRAM": "files",
    "SELECTOR": "names",
    "TARGET": "targets",
}
_SIGNALS = ("SIGHUP", "SIGINT", "SIGKILL", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH")


class Value(NamedTuple):
    """What an option or a word of a command takes. words: where kind is "words"."""

    kind: Kind
    words: tuple[str, ...] = ()


class Option(NamedTuple):
    """One option. value: None for a switch."""

    flags: tuple[str, ...]
    help: str
    value: Value | None


class Command(NamedTuple):
    """A command with its aliases. word: what its words are, None where it takes none."""

    name: str
    aliases: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    word: Value | None

    @property
    def names(self) -> tuple[str, ...]:
        """All that it can be called."""
        return (self.name, *self.aliases)


def commands() -> list[Command]:
    """All of them, in the order of the overview."""
    return [_command(name) for name in main.COMMANDS]


def _command(name: str) -> Command:
    parser = parser_of(name, main.command(name))
    aliases = tuple(alias for alias, of in main.ALIASES.items() if of == name)
    options = [_option(action) for action in parser.actions if action.option_strings]
    options.append(Option(("-h", "--help"), "show this help and leave", None))
    words = [action for action in parser.actions if not action.option_strings]
    return Command(name, aliases, main.COMMANDS[name][1], tuple(options), _word(name, words))


def _option(action: argparse.Action) -> Option:
    value = None if action.nargs == 0 else _value(action)
    text = " ".join((action.help or "").replace("%%", "%").split())
    return Option(tuple(action.option_strings), text, value)


def _word(name: str, words: list[argparse.Action]) -> Value | None:
    if name == "help":
        return Value("words", (*main.COMMANDS, *topics.names()))
    return _value(words[0]) if words else None


def _value(action: argparse.Action) -> Value:
    if action.choices is not None:
        return Value("words", tuple(map(str, action.choices)))
    path = next((setting.path for setting in SETTINGS if "_".join(setting.path) == action.dest), None)
    if path is not None and action.option_strings and (words := words_of(path)):
        return Value("words", words)
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if metavar in _BY_METAVAR:
        return Value(_BY_METAVAR[metavar])
    if metavar == "SIGNAL":
        return Value("words", _SIGNALS)
    if "|" in metavar and metavar.lower() == metavar:
        return Value("words", tuple(metavar.split("|")))
    return Value("none")


def once(values: Iterable[str]) -> list[str]:
    """Without repetitions, in their order."""
    return list(dict.fromkeys(values))
