"""``rook help``: all commands, one command, or a topic."""

from __future__ import annotations

from rookery._base.nearest import nearest
from rookery.cli import main, topics
from rookery.cli.output import put
from rookery.cli.overview import overview
from rookery.cli.parser import Parser, parser_of
from rookery.errors import UsageError


def run(argv: list[str]) -> int:
    """See ``rook help --help``. Raises UsageError for a name that is neither a command nor a topic."""
    parser = Parser(
        "help",
        "Explain rook, one of its commands, or a topic.",
        ("rook help", "rook help start", "rook help selectors"),
        words="[COMMAND|TOPIC]",
    )
    parser.add_argument("about", nargs="?", metavar="TOPIC", help=f"a command, or {', '.join(topics.names())}")
    name = parser.parse(argv).about
    if name is None:
        put(overview(main.COMMANDS, main.ALIASES, {name: topics.title(name) for name in topics.names()}))
        return 0
    if name in main.COMMANDS or name in main.ALIASES:
        text = parser_of(name, main.command(name)).format_help().rstrip("\n")
        put(f"{text}\n\n{topics.text(name)}" if name in topics.names() else text)
        return 0
    if name not in topics.names():
        near = nearest(name, [*main.COMMANDS, *main.ALIASES, *topics.names()])
        hint = f"did you mean {near[0]}?" if near else "see: rook help"
        raise UsageError(f"there is no command and no topic {name!r}", hint=hint)
    put(topics.text(name))
    return 0
