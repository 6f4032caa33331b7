"""What ``rook start TARGET [ARGS...]`` means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery._base.nearest import nearest
from rookery.config.build import build_spec
from rookery.config.command import (
    app_command,
    is_attribute,
    module_command,
    plain_command,
    script_command,
    shell_mark,
    split_command,
)
from rookery.config.envfile import read_env_file
from rookery.config.keys import OPTIONS
from rookery.config.listening import settled
from rookery.config.lookup import (
    Surroundings,
    absolute,
    did_you_mean,
    existing_folder,
    find_command,
    names_in,
    near_commands,
    search_path,
)
from rookery.config.names import as_name
from rookery.config.reader import Reader
from rookery.config.report import BadValue, OptionSource
from rookery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rookery.config.spec import AppSpec


class _Found(NamedTuple):
    """command: without args; app: "" for a program."""

    command: tuple[str, ...]
    name: str
    args: tuple[str, ...] = ()
    app: str = ""


def is_config_file(target: str) -> bool:
    """Whether a target is the path of an existing configuration file."""
    return target.endswith(".toml") and os.path.isfile(target)


def resolve_target(
    target: str | None,
    args: Sequence[str],
    *,
    cwd: str,
    options: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
) -> AppSpec:
    """The app that a command line describes.

    target: a script, a command on PATH, an app (``package.module:attribute``), a command line in one text; None where
    ``args`` is the command (after ``--``). args: its arguments. cwd: the caller's directory, absolute. options: keys of
    rook.toml and ``name``, ``module`` (then target and args are the module's arguments) and ``shell`` (then target is a
    line for /bin/sh); texts where they come from a command line, None where an option was not given. environ: the
    caller's environment, the process's own when left out.
    Raises UsageError for a target that is nothing, ConfigError (key: ``--the-option``) for a wrong option.
    """
    given = {key: value for key, value in options.items() if value is not None}
    reader = Reader(OptionSource(given), texts=True)
    settings = reader.read(OPTIONS, given)
    reader.check()
    environ = os.environ if environ is None else environ
    try:
        app_cwd = existing_folder(settings.get("cwd", "."), cwd, environ)
        env = _environment(settings, cwd, environ)
        where = Surroundings(app_cwd, cwd, environ, search_path(env, environ))
        found = _find(target, tuple(args), settings, where)
        name = settings.get("name") or as_name(found.name)
        if found.app:
            settings = {**settings, "app": found.app}
        settings = settled(settings, found.command, given, folder=cwd, environ=environ)
        return build_spec(settings, name=name, command=(*found.command, *found.args), cwd=app_cwd, env=env)
    except BadValue as bad:
        reader.report((), bad)
    reader.check()
    raise AssertionError("a reported problem is raised")


def _environment(settings: Mapping[str, Any], cwd: str, environ: Mapping[str, str]) -> dict[str, str]:
    env: dict[str, str] = {}
    if "env_file" in settings:
        shown = settings["env_file"]
        try:
            env.update(read_env_file(absolute(shown, cwd, environ), shown))
        except BadValue as bad:
            raise BadValue(bad.problem, hint=bad.hint, path=("env_file",)) from None
    env.update(settings.get("env", {}))
    return env


def _find(target: str | None, args: tuple[str, ...], settings: Mapping[str, Any], where: Surroundings) -> _Found:
    interpreter = settings.get("interpreter")
    if "module" in settings:
        module = settings["module"]
        command = module_command(module, interpreter, where)
        return _Found(command, _module_name(module), (*([target] if target is not None else []), *args))
    if target is None:
        if not args:
            raise UsageError("nothing to start", hint="name a script, a command or a rook.toml")
        return _Found(plain_command(args[:1], where), os.path.basename(args[0]), args[1:])
    if not target.strip():
        raise UsageError("the target is empty", hint="name a script, a command or a rook.toml")
    if settings.get("shell"):
        return _shell(target, args)
    script = absolute(target, where.folder, where.environ)
    is_script = os.path.isfile(script) and not _is_better_on_path(target, script, where)
    if is_attribute(target) and not is_script and find_command(target, where.path) is None:
        return _Found(app_command(target, interpreter, where), _module_name(target.partition(":")[0]), args, target)
    if interpreter is not None or is_script:
        return _Found(script_command(script, interpreter, where), _stem(script), args)
    return _line(target, args, where)


def _line(target: str, args: tuple[str, ...], where: Surroundings) -> _Found:
    """A target that is no file: a command, or a whole command line in one text."""
    mark = shell_mark(target)
    if mark:
        raise UsageError(
            f"{target!r} contains {mark!r}, which only a shell understands",
            why="commands are started without a shell",
            hint="add --shell to run it with /bin/sh",
        )
    try:
        words = split_command(target)
    except BadValue as bad:
        raise UsageError(bad.problem, hint=bad.hint) from None
    if not words or not words[0]:
        raise UsageError("the target is empty", hint="name a script, a command or a rook.toml")
    program, rest = words[0], (*words[1:], *args)
    path = absolute(program, where.folder, where.environ)
    if os.path.isfile(path) and not _is_better_on_path(program, path, where):
        return _Found(script_command(path, None, where), _stem(path), rest)
    if "/" not in program and (command := find_command(program, where.path)) is not None:
        return _Found((command,), os.path.basename(program), rest)
    raise _nothing(program, path, where)


def _shell(target: str, args: tuple[str, ...]) -> _Found:
    if args:
        raise UsageError(
            "with --shell the whole command is one text",
            why=f"{args[0]!r} stands outside of it",
            hint="put the command in quotes",
        )
    return _Found(("/bin/sh", "-c", target), os.path.basename(target.split(maxsplit=1)[0]))


def _nothing(program: str, path: str, where: Surroundings) -> UsageError:
    if os.path.isdir(path):
        config = os.path.join(program, "rook.toml")
        is_there = os.path.isfile(os.path.join(path, "rook.toml"))
        hint = f"rook start {config}" if is_there else "name a script in it"
        return UsageError(f"{program!r} is a directory", hint=hint)
    folder, name = os.path.split(path)
    near = nearest(name, names_in(folder))
    why = f"there is no such file in {folder}"
    if "/" not in program:
        why += " and no such command on PATH"
        near += [command for command in near_commands(program, where.path) if command not in near]
    return UsageError(
        f"cannot start {program!r}", why=why, hint=did_you_mean(near[:2], "name a script, a command or a rook.toml")
    )


def _is_better_on_path(target: str, script: str, where: Surroundings) -> bool:
    """Whether a file is only named like a command: without an extension and not executable."""
    is_data = "." not in os.path.basename(script) and not os.access(script, os.X_OK)
    return is_data and "/" not in target and find_command(target, where.path) is not None


def _stem(script: str) -> str:
    return os.path.splitext(os.path.basename(script))[0]


def _module_name(module: str) -> str:
    parts = [part for part in module.split(".") if part != "__main__"]
    return parts[-1] if parts else module
