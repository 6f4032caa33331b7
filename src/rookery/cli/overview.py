"""What ``rook`` alone says."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_EXAMPLES = """\
rook keeps programs running: in any language, through their crashes and its own.

  rook start app.py                   run it, and keep it running
  rook start server.js -i 2 -n web    two instances, named web
  rook start -- ./bin --flag          any command line
  rook start rook.toml                everything that a file declares
  rook list                           what runs
  rook logs web -f                    its output, as it comes
  rook restart web                    stop it and start it again
  rook kill                           stop everything
"""

_REST = """\
Options before the command:
  --home DIR     another manager's home (default: $ROOKERY_HOME, or the user's own)
  --version      the version
  --help         this page; rook COMMAND --help tells more

Selectors: a name, an id, name:index, a namespace, /regex/, all; several at once.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing matched, 4 no manager, 5 waited too long, 130 Ctrl-C."""


def overview(commands: Mapping[str, tuple[str, str]], aliases: Mapping[str, str]) -> str:
    """The page: examples, then commands with their aliases, then options."""
    lines = [_EXAMPLES, "Commands:"]
    for name, (_, text) in commands.items():
        others = [alias for alias, of in aliases.items() if of == name]
        also = f" (also: {', '.join(others)})" if others else ""
        lines.append(f"  {name:<14} {text}{also}")
    return "\n".join([*lines, "", _REST])
