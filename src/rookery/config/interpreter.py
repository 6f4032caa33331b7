"""Which program runs a script: named, by extension, by shebang; for Python the virtualenv that belongs to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rookery.config.lookup import Surroundings, absolute, did_you_mean, find_command, is_missing, near_commands
from rookery.config.report import BadValue
from rookery.config.shebang import Shebang, is_python, read_shebang

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BY_EXTENSION: dict[str, tuple[str, ...]] = {
    ".bash": ("bash",),
    ".cjs": ("node",),
    ".jar": ("java", "-jar"),
    ".js": ("node",),
    ".lua": ("lua",),
    ".mjs": ("node",),
    ".php": ("php",),
    ".pl": ("perl",),
    ".r": ("Rscript",),
    ".rb": ("ruby",),
    ".sh": ("sh",),
    ".zsh": ("zsh",),
}
_PYTHON_EXTENSIONS = (".py", ".pyz")
_SYSTEM_FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin")
_VIRTUALENVS = (".venv", "venv")


def how_to_run(script: str, where: Surroundings) -> tuple[str, ...]:
    """The command for a script, without its arguments. script: the absolute path of a file.

    Raises BadValue where nothing says how to run it, or where what should run it is not there.
    """
    extension = os.path.splitext(script)[1].lower()
    if extension in _PYTHON_EXTENSIONS:
        return (python_for(script, where), script)
    shebang = read_shebang(script)
    is_executable = os.access(script, os.X_OK)
    if shebang is not None:
        _check_shebang(script, shebang, where)
        return (script,) if is_executable else (*shebang.words, script)
    if extension in _BY_EXTENSION:
        name, *options = _BY_EXTENSION[extension]
        return (_on_path(name, os.path.basename(script), where), *options, script)
    if is_executable:
        return (script,)
    raise BadValue(
        f"nothing says how to run {os.path.basename(script)!r}: no known extension, no #! line, not executable",
        hint="name its interpreter, or make it executable with chmod +x",
        path=("script",),
    )


def named_interpreter(name: str, where: Surroundings) -> str:
    """The absolute path of an interpreter that the user named: a command on PATH, or a path if it has a slash.

    Raises BadValue where it is not there.
    """
    if "/" not in name and name != "~":
        found = find_command(name, where.path)
        if found is None:
            hint = did_you_mean(near_commands(name, where.path), "install it, or give its full path")
            raise BadValue(f"there is no command {name!r} on PATH", hint=hint, path=("interpreter",))
        return found
    path = absolute(name, where.folder, where.environ)
    if is_missing(path):
        hint = "create the virtualenv first" if is_python(name) else f"looked for {path}"
        raise BadValue(f"there is no {name!r}", hint=hint, path=("interpreter",))
    return path


def python_for(script: str | None, where: Surroundings) -> str:
    """The Python for a script (its absolute path) or, with None, for a module started in the working directory.

    A shebang that names one Python outside the system's folders; $VIRTUAL_ENV; .venv or venv next to the script, in
    the working directory, in a folder above the script; the shebang's name, python3 or python on PATH.
    Raises BadValue where there is none.
    """
    shebang = read_shebang(script) if script is not None else None
    if shebang is not None and not is_python(shebang.program):
        shebang = None
    if shebang is not None and not shebang.via_env:
        is_system = os.path.dirname(shebang.program) in _SYSTEM_FOLDERS
        if not is_system and os.access(shebang.program, os.X_OK):
            return shebang.program
    beside = where.cwd if script is None else os.path.dirname(script)
    found = _virtualenv_python(beside, script or where.cwd, where)
    if found is not None:
        return found
    wanted = [os.path.basename(shebang.program)] if shebang is not None and shebang.via_env else []
    if shebang is not None and not shebang.via_env and os.access(shebang.program, os.X_OK):
        return shebang.program
    for name in (*wanted, "python3", "python"):
        if (on_path := find_command(name, where.path)) is not None:
            return on_path
    raise BadValue(
        "there is no Python: no virtualenv and no python3 on PATH",
        hint="create a virtualenv next to the script, or name an interpreter",
    )


def with_unbuffered_output(command: tuple[str, ...], env: Mapping[str, str]) -> dict[str, str]:
    """The environment with PYTHONUNBUFFERED=1 for a Python program, unless the user has set it.

    Otherwise Python keeps lines back when its output is a pipe, and they are lost when it dies.
    """
    return {"PYTHONUNBUFFERED": "1", **env} if is_python(command[0]) else dict(env)


def _virtualenv_python(beside: str, owner_of: str, where: Surroundings) -> str | None:
    active = where.environ.get("VIRTUAL_ENV")
    if active and os.access(python := os.path.join(active, "bin", "python"), os.X_OK):
        return os.path.abspath(python)
    for folder in (beside, where.cwd, *_folders_above(beside, where.environ.get("HOME", ""))):
        for name in _VIRTUALENVS:
            python = os.path.join(folder, name, "bin", "python")
            if os.access(python, os.X_OK) and _is_trusted(os.path.join(folder, name), owner_of):
                return python
    return None


def _folders_above(folder: str, home: str) -> Iterator[str]:
    """The folders around this one, up to but without the home and the root."""
    stops = {"/", os.path.normpath(home) if home else "/"}
    while folder not in stops and (folder := os.path.dirname(folder)) not in stops:
        yield folder


def _is_trusted(virtualenv: str, script: str) -> bool:
    """Whether root, the caller or the script's owner made it: anyone may leave a /tmp/.venv behind."""
    try:
        return os.stat(virtualenv).st_uid in {0, os.geteuid(), os.stat(script).st_uid}
    except OSError:
        return False


def _check_shebang(script: str, shebang: Shebang, where: Surroundings) -> None:
    if shebang.via_env and "/" not in shebang.program:
        _on_path(shebang.program, os.path.basename(script), where)
    elif is_missing(shebang.program):
        raise BadValue(
            f"{os.path.basename(script)!r} wants to be run by {shebang.program}, which is not there",
            hint="correct its #! line, or name an interpreter",
            path=("script",),
        )


def _on_path(name: str, needed_by: str, where: Surroundings) -> str:
    found = find_command(name, where.path)
    if found is None:
        hint = did_you_mean(near_commands(name, where.path), f"install {name}, or name an interpreter")
        raise BadValue(f"{needed_by!r} needs {name!r}, which is not on PATH", hint=hint, path=("script",))
    return found
