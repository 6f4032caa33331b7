"""``rook``: which command, and what becomes of its errors.

On the hot path: a command's module, and what it needs, is imported when that command is asked for.
"""

from __future__ import annotations

import os
import sys

from rookery.errors import RookeryError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

COMMANDS = {
    "start": ("start", "run a program, a config file, or known apps again"),
    "list": ("list", "all instances in a table"),
    "show": ("show", "everything about some instances"),
    "tree": ("tree", "their processes as trees"),
    "logs": ("logs", "the last lines of output, and what comes"),
    "stop": ("stop", "stop apps; they stay known"),
    "restart": ("restart", "stop apps and start them again"),
    "reload": ("reload", "replace what runs, one by one: no request fails"),
    "delete": ("delete", "stop apps and forget them"),
    "scale": ("scale", "more or fewer instances of an app"),
    "wait": ("wait", "until apps are ready, stopped, or otherwise as wanted"),
    "events": ("events", "what has happened, and what happens"),
    "env": ("env", "the environment of apps"),
    "signal": ("signal", "send a signal to apps"),
    "send": ("send", "write a line to an app's stdin"),
    "flush": ("flush", "empty log files"),
    "reset": ("reset", "set the counters of restarts to zero"),
    "up": ("up", "run apps in the foreground, as in a container"),
    "ping": ("ping", "whether the manager runs"),
    "upgrade": ("upgrade", "put the installed version in charge; apps go on"),
    "kill": ("kill", "stop all apps and the manager"),
    "init": ("init", "write a rook.toml for what is in this folder"),
    "check": ("check", "what is wrong in a config file, and what it would start"),
    "diff": ("diff", "what starting a config file would change"),
    "doctor": ("doctor", "what is not as it should be on this machine"),
    "completion": ("completion", "let the shell complete commands, options and names"),
    "help": ("help", "this page, a command, or a topic"),
}
"""Command: its module in rookery.cli.commands, and its line in the overview."""

ALIASES = {"ls": "list", "ps": "list", "status": "list", "describe": "show", "rm": "delete", "del": "delete"}

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; argv is without the program's name. Returns the exit code (``rook --help`` lists them)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who called us (>&-)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for as long as we run
    _never_fail_to_print(sys.stdout, sys.stderr)
    try:
        try:
            code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        except SystemExit as leave:  # argparse has printed its help
            code = leave.code if isinstance(leave.code, int) else 0
        sys.stdout.flush()
    except RookeryError as error:
        return _explain(error)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left. What is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _explain(RookeryError(error.strerror or str(error), why=str(error.filename or "")))
    return code


def _dispatch(argv: list[str]) -> int:
    argv = _take_global_options(argv)
    if not argv or argv[0] in ("-h", "--help"):
        argv = ["help"]
    name, *rest = argv
    if name in ("--version", "-V"):
        from rookery import __version__
        from rookery.cli.output import put

        put(f"rook {__version__}")
        return 0
    return command(name)(rest)


def _take_global_options(argv: list[str]) -> list[str]:
    while argv and (argv[0] == "--home" or argv[0].startswith("--home=")):
        _, equals, value = argv[0].partition("=")
        if not equals:
            value = argv[1] if len(argv) > 1 else ""
        if not value:
            raise UsageError("--home needs a folder", hint="rook --home DIR list")
        os.environ["ROOKERY_HOME"] = os.path.abspath(value)
        argv = argv[1:] if equals else argv[2:]
    return argv


def command(name: str) -> Callable[[list[str]], int]:
    """What runs a command, from its name or an alias; takes its arguments, returns the exit code. Raises UsageError."""
    entry = COMMANDS.get(ALIASES.get(name, name))
    if entry is None:
        from rookery._base.nearest import nearest

        near = nearest(name, [*COMMANDS, *ALIASES])
        kind = "option" if name.startswith("-") else "command"
        hint = f"did you mean {near[0]}?" if near else "see: rook --help"
        raise UsageError(f"there is no {kind} {name!r}", hint=hint)
    from importlib import import_module

    run: Callable[[list[str]], int] = import_module(f"rookery.cli.commands.{entry[0]}").run
    return run


def _explain(error: RookeryError) -> int:
    from rookery.cli.output import say

    say(f"rook: {error.what}")
    if error.why:
        say(f"  {error.why}")
    if error.hint:
        say(f"hint: {error.hint}")
    return error.exit_code


def _never_fail_to_print(*streams: TextIO) -> None:
    # A name or a log line that the terminal's encoding does not know must not end the command.
    for stream in streams:
        if getattr(stream, "errors", "") == "strict":
            stream.reconfigure(errors="replace")  # type: ignore[attr-defined]
