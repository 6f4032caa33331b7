"""Which of the things that ``rook start`` can start a command line means."""

from __future__ import annotations

import os

from rookery.config.target import resolve_target
from rookery.config.toml import load_file
from rookery.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.cli.start_options import Call
    from rookery.config.spec import AppSpec

DEFAULT_FILE = "rook.toml"


def may_be_known(call: Call) -> bool:
    """Whether the words may be selectors of known apps, so that it is worth asking the manager.

    They are not where an option describes a new app, or where a word is a file. A number after something else is an
    argument (``rook start sleep 3``), not an id.
    """
    if not call.words or call.rest is not None or call.settings or call.profile or call.only or call.inherit_env:
        return False
    first, *others = call.words
    if not first.isdecimal() and any(word.isdecimal() for word in others):
        return False
    return not any(word.endswith(".toml") or os.path.isfile(word) for word in call.words)


def described(call: Call, *, cwd: str) -> list[AppSpec]:
    """The apps that the command line describes. Raises UsageError, ConfigError, NothingMatched."""
    files = _files(call)
    if files:
        return [spec for file in files for spec in load_file(file, only=call.only, profile=call.profile)]
    if call.profile is not None:
        what, hint = "--env names a profile of a config file", "for a variable: --set-env KEY=VALUE"
        raise UsageError(what, why="the target is none", hint=hint)
    if call.only:
        raise UsageError("--only chooses apps of a config file", why="the target is none", hint="rook start --help")
    target, args = (call.words[0], call.words[1:]) if call.words else (None, [])
    return [resolve_target(target, [*args, *(call.rest or ())], cwd=cwd, options=call.settings)]


def _files(call: Call) -> list[str]:
    """The config files to apply; none where the target is something else. Raises UsageError for what mixes both."""
    if "module" in call.settings or "shell" in call.settings:
        return []
    files = call.words
    if not call.words and call.rest is None:
        if not os.path.isfile(DEFAULT_FILE):
            raise UsageError(
                "nothing to start",
                why=f"no target was given, and there is no {DEFAULT_FILE} here",
                hint="rook start app.py, or see: rook start --help",
            )
        files = [DEFAULT_FILE]
    elif not call.words or not call.words[0].endswith(".toml"):
        return []
    others = [word for word in files if not word.endswith(".toml")] or call.rest
    if others:
        raise UsageError(
            f"{files[0]} is a config file and takes no arguments such as {others[0]!r}",
            hint="to start some of its apps: --only NAME",
        )
    if call.settings:
        key = next(iter(call.settings))
        raise UsageError(
            f"options such as {_option(key)} do not go with a config file", hint=f"write it into {files[0]}"
        )
    return files


def _option(key: str) -> str:
    return {"env": "--set-env", "options": "--option"}.get(key) or f"--{key.replace('_', '-')}"
