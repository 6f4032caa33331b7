"""Finding files and commands the way the calling user's shell would."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from rookery.config.report import BadValue
from rookery.process import lookup

if TYPE_CHECKING:
    from collections.abc import Mapping


class Surroundings(NamedTuple):
    """Where an app is looked for.

    cwd: its working directory, absolute; folder: what a relative interpreter is relative to, absolute; environ: the
    calling command's environment; path: the PATH for commands.
    """

    cwd: str
    folder: str
    environ: Mapping[str, str]
    path: str


def search_path(env: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """The PATH that an app will see: its own, else the caller's, else the one that spawning falls back to."""
    path = env.get("PATH") or environ.get("PATH")
    return os.pathsep.join(lookup.search_path({"PATH": path} if path else {}))


def absolute(path: str, base: str, environ: Mapping[str, str]) -> str:
    """The path seen from base, normalised; ``~`` is the caller's home."""
    home = environ.get("HOME", "")
    if home and (path == "~" or path.startswith("~/")):
        path = home + path[1:]
    return os.path.normpath(os.path.join(base, path))


def existing_folder(path: str, base: str, environ: Mapping[str, str]) -> str:
    """A working directory, absolute. Raises BadValue (path: "cwd") where it is missing or no directory."""
    folder = absolute(path, base, environ)
    if is_missing(folder):
        raise BadValue(f"there is no folder {folder}", hint="create it, or correct the path", path=("cwd",))
    if os.path.isfile(folder):
        raise BadValue(f"{folder} is a file, not a folder", path=("cwd",))
    return folder


def find_command(name: str, path: str) -> str | None:
    """The absolute path of a command on PATH, or None."""
    found = lookup.find(name, {"PATH": path})
    return os.path.abspath(found) if found is not None else None


def near_commands(name: str, path: str) -> list[str]:
    """Up to two commands on PATH that are spelled like the name."""
    return lookup.near_matches(name, {"PATH": path})[:2]


def names_in(folder: str) -> list[str]:
    """The names in a folder; none where it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def is_missing(path: str) -> bool:
    """Whether nothing is there. What we may not look at counts as there: the app's user may."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def did_you_mean(names: list[str], otherwise: str) -> str:
    """The hint for a name that was not found."""
    return f"did you mean {' or '.join(names)}?" if names else otherwise
