"""Where the log files of an instance are."""

from __future__ import annotations

import os

from rookery.errors import UsageError


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
