"""The complete command of an app, from a script, a module or words."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

from rookery._base.nearest import nearest
from rookery.config.interpreter import how_to_run, named_interpreter, python_for
from rookery.config.lookup import (
    Surroundings,
    absolute,
    did_you_mean,
    find_command,
    is_missing,
    names_in,
    near_commands,
)
from rookery.config.report import BadValue
from rookery.config.values import arguments, expected, text

if TYPE_CHECKING:
    from collections.abc import Sequence

_QUOTED = re.compile(r"""\\.|'[^']*'|"((?:\\.|[^"\\])*)\"""", re.DOTALL)
_SHELL_MARKS = re.compile(r"[|<>;&$`]")
_MODULE = re.compile(r"[^\W\d][\w-]*(\.[^\W\d][\w-]*)*")
_ATTRIBUTE = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*(?:\.[^\W\d]\w*)*)")


def command_words(value: object) -> tuple[str, ...]:
    """A command: a list of words, or one text that is split as a shell splits it (and given to none)."""
    words = split_command(value) if isinstance(value, str) else arguments(value)
    if not words or not words[0].strip():
        raise BadValue("the command is empty", hint='write ["program", "argument"]')
    return words


def module_name(value: object) -> str:
    """A module's dotted name."""
    name = text(value)
    if _MODULE.fullmatch(name) is None or name.endswith(".py"):
        hint = "module is for python -m; give a file as the script" if "/" in name or name.endswith(".py") else ""
        raise expected("a module such as 'pkg.main'", value, hint=hint)
    return name


def is_attribute(text: str) -> bool:
    """Whether a text has the form ``package.module:attribute``."""
    return _ATTRIBUTE.fullmatch(text) is not None


def attribute_name(value: object) -> str:
    """An app of a module: ``package.module:attribute``."""
    name = text(value)
    if is_attribute(name):
        return name
    hint = ""
    if name.endswith("()") and is_attribute(name.removesuffix("()")):
        hint = f"it is not called; put app = {name.rpartition(':')[2]} into the module"
    elif name.endswith((".js", ".mjs", ".cjs", ".py")):
        hint = "a file is a script"
    raise expected("an app such as 'shop.web:app' (package.module:attribute)", value, hint=hint)


def split_command(line: str) -> tuple[str, ...]:
    """The words of a command line. Raises BadValue for open quotes and for what only a shell understands."""
    mark = shell_mark(line)
    if mark:
        raise BadValue(
            f"the command contains {mark!r}, and no shell is there to understand it",
            hint=f'quote it, or run the line in a shell: ["/bin/sh", "-c", {line!r}]',
        )
    try:
        return tuple(shlex.split(line))
    except ValueError as error:
        raise BadValue(f"the command cannot be split into words: {str(error).lower()}") from None


def shell_mark(line: str) -> str:
    """The first character outside quotes that only a shell understands, or ""."""
    # Within double quotes a shell still expands $ and `, so these stay.
    unquoted = _QUOTED.sub(lambda quoted: re.sub(r"[^$`]|\\.", "", quoted[1] or ""), line)
    found = _SHELL_MARKS.search(unquoted)
    return found[0] if found else ""


def script_command(script: str, interpreter: str | None, where: Surroundings) -> tuple[str, ...]:
    """The command for a script, without arguments. script: its absolute path.

    Raises BadValue (path: "script" or "interpreter") where it cannot be run.
    """
    if os.path.isdir(script):
        raise BadValue(f"{script!r} is a directory", hint="name a script in it", path=("script",))
    if is_missing(script):
        folder, name = os.path.split(script)
        near = nearest(name, names_in(folder))
        elsewhere = absolute(name, where.folder, where.environ)
        hint = "" if is_missing(elsewhere) else f"scripts are looked for in cwd, but {elsewhere} is there"
        hint = hint or did_you_mean(near, "scripts are looked for in cwd")
        raise BadValue(f"there is no file {name!r} in {folder}", hint=hint, path=("script",))
    if interpreter is not None:
        return (named_interpreter(interpreter, where), script)
    return how_to_run(script, where)


def module_command(module: str, interpreter: str | None, where: Surroundings) -> tuple[str, ...]:
    """The command for ``python -m module``. Raises BadValue where there is no such Python."""
    python = named_interpreter(interpreter, where) if interpreter is not None else python_for(None, where)
    return (python, "-m", module)


def app_command(app: str, interpreter: str | None, where: Surroundings) -> tuple[str, ...]:
    """The Python that is to import an app, for a command without its arguments.

    Raises BadValue where there is none, or where the app's package is in cwd and its module is not in it (path: "app").
    """
    module = app.partition(":")[0]
    folder = where.cwd
    for part in module.split("."):
        names = names_in(folder)
        here = [name for name in names if name == part or name.startswith(f"{part}.")]
        if not here and folder != where.cwd:
            near = nearest(part, {name.partition(".")[0] for name in names if not name.startswith(("_", "."))})
            raise BadValue(
                f"there is no module {module!r}: {folder} has no {part!r}", hint=did_you_mean(near, ""), path=("app",)
            )
        folder = os.path.join(folder, part)
        if not os.path.isfile(os.path.join(folder, "__init__.py")):  # a file, or known to Python alone
            break
    return (named_interpreter(interpreter, where) if interpreter is not None else python_for(None, where),)


def plain_command(words: Sequence[str], where: Surroundings) -> tuple[str, ...]:
    """The command as given, its program made absolute: as a path seen from cwd, or from PATH.

    Raises BadValue (path: "command") where the program is not there.
    """
    program, *rest = words
    if "/" in program:
        path = absolute(program, where.cwd, where.environ)
        if is_missing(path):
            near = nearest(os.path.basename(path), names_in(os.path.dirname(path)))
            raise BadValue(
                f"there is no {program!r} in {where.cwd}" if not os.path.isabs(program) else f"there is no {program!r}",
                hint=did_you_mean(near, "relative commands are looked for in cwd"),
                path=("command",),
            )
        if os.path.isdir(path):
            raise BadValue(f"{program!r} is a directory", path=("command",))
        return (path, *rest)
    found = find_command(program, where.path)
    if found is None:
        is_here = not is_missing(os.path.join(where.cwd, program))
        hint = f"a file in cwd is written './{program}'" if is_here else ""
        hint = hint or did_you_mean(near_commands(program, where.path), "check the name, or give its full path")
        raise BadValue(f"there is no command {program!r} on PATH", hint=hint, path=("command",))
    return (found, *rest)
