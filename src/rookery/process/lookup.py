"""Finding a program as execvp would, and saying well why it cannot be started."""

from __future__ import annotations

import errno
import os
from functools import lru_cache

from rookery import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_EXHAUSTED = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC}


def search_path(env: Mapping[str, str] | None) -> list[str]:
    """The folders in which a program without a slash is looked for."""
    path = (os.environ if env is None else env).get("PATH", _DEFAULT_PATH)
    return [folder for folder in path.split(os.pathsep) if folder]


def candidates(program: str, env: Mapping[str, str] | None) -> list[str]:
    """Where exec is to try, in order: the program itself where it has a slash, else every folder of PATH."""
    if "/" in program:
        return [program]
    return list(_in_path(program, (os.environ if env is None else env).get("PATH", _DEFAULT_PATH)))


@lru_cache(128)
def _in_path(program: str, path: str) -> tuple[str, ...]:
    return tuple(os.path.join(folder, program) for folder in path.split(os.pathsep) if folder)


def find(program: str, env: Mapping[str, str] | None, cwd: str | None = None) -> str | None:
    """The first candidate that is an executable file; a relative one is seen from cwd."""
    for path in candidates(program, env):
        seen = os.path.join(cwd, path) if cwd and not os.path.isabs(path) else path
        if os.path.isfile(seen) and os.access(seen, os.X_OK):
            return path
    return None


def near_matches(program: str, env: Mapping[str, str] | None) -> list[str]:
    """Up to three programs on PATH (or beside the path given) that look like it."""
    from rookery._base.nearest import nearest  # noqa: PLC0415 - only on the way to an error

    folders = [os.path.dirname(program)] if "/" in program else search_path(env)
    names: set[str] = set()
    for folder in folders:
        try:
            names.update(os.listdir(folder))
        except OSError:
            continue
    return nearest(os.path.basename(program), names, most=3)


def explain(
    number: int,
    argv: Sequence[str],
    *,
    stage: str,
    env: Mapping[str, str] | None,
    cwd: str | None,
) -> errors.SpawnError:
    """The error for a system's error number; stage: "chdir", "user", "fork" or "exec"."""
    program = argv[0] if argv else ""
    text = os.strerror(number)
    facts: dict[str, Any] = {"argv": argv, "cwd": cwd, "errno": number}
    if number in _EXHAUSTED:
        return errors.ResourcesExhausted(
            f"the system gave no more resources ({text})", hint="see: ulimit -a, and the machine's memory", **facts
        )
    if stage == "chdir" or (cwd is not None and not os.path.isdir(cwd)):
        return errors.DirectoryMissing(
            f"cannot work in {cwd!r} ({text})", hint="make the folder, or change cwd", **facts
        )
    if stage == "user":
        return errors.UserUnknown(
            f"may not become that user ({text})", hint="only root can start programs as another user", **facts
        )
    found = find(program, env, cwd)
    if number == errno.ENOENT and found is not None:
        return errors.CommandNotExecutable(
            f"{found!r} names an interpreter that is not there",
            hint="look at its first line (#!...), and at its libraries with: ldd",
            **facts,
        )
    if number in (errno.ENOENT, errno.ENOTDIR) and not exists(program, env, cwd):
        return errors.CommandNotFound(argv, near=near_matches(program, env), cwd=cwd)
    if number == errno.ENOEXEC:
        return errors.CommandNotExecutable(
            "it is no program that this machine can run",
            hint="give a script its first line (#!/bin/sh), or name its interpreter",
            **facts,
        )
    if number in (errno.EACCES, errno.EPERM, errno.EISDIR):
        return errors.CommandNotExecutable(
            f"it may not be executed ({text})", hint="see: ls -l, chmod +x, and the folders above it", **facts
        )
    if number == errno.E2BIG:
        return errors.SpawnError(
            "arguments and environment together are too long", hint="pass data by a file or stdin", **facts
        )
    return errors.SpawnError(text, **facts)


def exists(program: str, env: Mapping[str, str] | None, cwd: str | None) -> bool:
    """Whether any candidate is there at all, executable or not."""
    for path in candidates(program, env):
        if os.path.lexists(os.path.join(cwd, path) if cwd and not os.path.isabs(path) else path):
            return True
    return False
