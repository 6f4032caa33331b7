"""What ``rook`` alone says."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_EXAMPLES = """\
rook keeps programs running: in any language, through their crashes and its own.

  rook start app.py                   run it, and keep it running
  rook start server.js -i 2 -n web    two instances, named web
  rook start -- ./bin --flag          any command line
  rook start shop.web:app -i max      an ASGI or WSGI app, on all cores
  rook start rook.toml                everything that a file declares
  rook list                           what runs
  rook logs web -f                    its output, as it comes
  rook restart web                    stop it and start it again
  rook reload web                     replace it without failing a request
  rook kill                           stop everything
"""

_GROUPS = {
    "Run": ("start", "up", "stop", "restart", "reload", "scale", "delete", "reset", "wait"),
    "Look": ("list", "show", "tree", "logs", "monit", "events", "env"),
    "Talk to apps": ("send", "signal", "trigger"),
    "Config files": ("init", "check", "diff", "export", "import", "deploy"),
    "The manager": ("ping", "upgrade", "kill", "save", "resurrect", "startup", "unstartup", "flush", "doctor"),
    "Help": ("help", "completion"),
}
"""Commands by what they are for; one that is nowhere here comes under "More"."""

_REST = """\
Options before the command:
  --home DIR     another manager's home (default: $ROOKERY_HOME, or the user's own)
  --version      the version
  --help         this page; rook COMMAND --help tells more

Selectors: a name, an id, name:index, a namespace, /regex/, all; several at once.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing matched, 4 no manager, 5 waited too long, 130 Ctrl-C."""


def overview(
    commands: Mapping[str, tuple[str, str]], aliases: Mapping[str, str], topics: Mapping[str, str] | None = None
) -> str:
    """The page: examples, commands in their groups with their aliases, topics with their titles, options."""
    lines = [_EXAMPLES, "Commands:"]
    for title, names in grouped(commands).items():
        lines.append(f" {title}:")
        for name in names:
            others = [alias for alias, of in aliases.items() if of == name]
            also = f" (also: {', '.join(others)})" if others else ""
            lines.append(f"  {name:<14} {commands[name][1]}{also}")
    if topics:
        lines += ["", "Topics (rook help TOPIC):", *(f"  {name:<14} {title}" for name, title in topics.items())]
    return "\n".join([*lines, "", _REST])


def grouped(commands: Iterable[str]) -> dict[str, list[str]]:
    """The commands that there are, by group, each once; groups without any are left out."""
    there = list(commands)
    found = {title: [name for name in names if name in there] for title, names in _GROUPS.items()}
    known = {name for names in found.values() for name in names}
    found["More"] = [name for name in there if name not in known]
    return {title: names for title, names in found.items() if names}
