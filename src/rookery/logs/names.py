"""Where the log files of an instance are, and which apps would write to the same ones."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from rookery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_OF_AN_INSTANCE = re.compile(r"(.+)-(0|[1-9][0-9]*)((?:\.out|\.err)?\.log)")
_ENDINGS = {
    "none": (".out.log", ".err.log"),
    "streams": (".log",),
    "instances": (".out.log", ".err.log"),
    "all": (".log",),
}


class Naming(NamedTuple):
    """What decides on the names of an app's log files; instances: how many it has."""

    name: str
    merge: str
    instances: int
    combined: bool


def log_paths(folder: str, name: str, index: int, merge: str) -> tuple[str, str]:
    """The paths of an instance's stdout and stderr files; equal where both go into one.

    merge: "none" a file per instance and stream, "streams" out and err in one, "instances" a file per stream for all
    instances, "all" one file. Raises UsageError for another merge or a name that is no file name.
    """
    if "/" in name or "\0" in name or not name:
        raise UsageError(f"{name!r} cannot name a log file", hint="leave out '/'")
    if merge == "none":
        files = (f"{name}-{index}.out.log", f"{name}-{index}.err.log")
    elif merge == "streams":
        files = (f"{name}-{index}.log",) * 2
    elif merge == "instances":
        files = (f"{name}.out.log", f"{name}.err.log")
    elif merge == "all":
        files = (f"{name}.log",) * 2
    else:
        raise UsageError(f"{merge!r} is no way to merge logs", hint="none, streams, instances or all")
    return os.path.join(folder, files[0]), os.path.join(folder, files[1])


def combined_path(folder: str, name: str) -> str:
    """The path of an app's combined file."""
    return os.path.join(folder, f"{name}.combined.log")


def first_clash(new: Iterable[Naming], others: Iterable[Naming]) -> tuple[Naming, Naming, str] | None:
    """The first of the new apps that shares a log file with another app, that one, and the file's name.

    others: apps that are there already; those that have a name of a new one do not count.
    """
    new = list(new)
    fresh = {one.name for one in new}
    known = [*new, *(one for one in others if one.name not in fresh)]
    # Names with an index are told by their form, not listed: an app may have thousands of instances.
    single: dict[str, Naming] = {}
    indexed = {(one.name, ending): one for one in known for ending in _indexed(one)}
    for one in reversed(known):  # the first one stays
        single.update(dict.fromkeys(_single(one), one))
    for one in known:
        for file in _single(one):
            rival = single[file]
            if rival is one and (parts := _OF_AN_INSTANCE.fullmatch(file)):
                found = indexed.get((parts[1], parts[3]))
                rival = found if found is not None and int(parts[2]) < found.instances else one
            if rival is not one and (one.name in fresh or rival.name in fresh):
                return (one, rival, file) if one.name in fresh else (rival, one, file)
    return None


def _single(one: Naming) -> Iterator[str]:
    if one.merge in ("instances", "all"):
        yield from (one.name + ending for ending in _ENDINGS[one.merge])
    if one.combined:
        yield one.name + ".combined.log"


def _indexed(one: Naming) -> tuple[str, ...]:
    return _ENDINGS[one.merge] if one.merge in ("none", "streams") else ()
