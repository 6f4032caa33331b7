"""What fork() can start, and how: pure but for looking whether a file is there."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Literal, NamedTuple

from rookery.errors import SpawnError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["python", "function", "node", "program"]
_ENDINGS: dict[str, Kind] = {".py": "python", ".pyw": "python", ".js": "node", ".mjs": "node", ".cjs": "node"}
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# At the end: what lies beside the package must not hide what the interpreter would find.
_CODE = "import sys; sys.path.append(sys.argv.pop(1)); from rookery.worker.function import main; main()"


class Target(NamedTuple):
    """name: what was asked for; argv: how it is started."""

    name: str
    kind: Kind
    argv: tuple[str, ...]


def target_of(
    wanted: str | os.PathLike[str],
    *,
    args: Sequence[str] = (),
    interpreter: str | os.PathLike[str] | None = None,
    interpreter_args: Sequence[str] = (),
    cwd: str | os.PathLike[str] | None = None,
) -> Target:
    """How a target is started. Raises UsageError for what is none, SpawnError for a file that is not there."""
    name = os.fspath(wanted)
    before = (*interpreter_args,)
    if _FUNCTION.fullmatch(name):
        if name.startswith("__main__:"):
            raise UsageError(
                "a worker cannot import from __main__", hint="put the function into a module that can be imported"
            )
        python = sys.executable if interpreter is None else os.fspath(interpreter)
        return Target(name, "function", (python, *before, "-c", _CODE, _ROOT, name, *args))
    kind = _ENDINGS.get(os.path.splitext(name)[1].lower())
    if kind is None:
        if interpreter is None:
            raise UsageError(
                f"a worker is a Python file, package.module:function or a Node script, not {name!r}",
                hint="name its interpreter, if it is a program that speaks the protocol",
            )
        kind = "program"
    if interpreter is None:
        interpreter = sys.executable if kind == "python" else "node"
    argv = (os.fspath(interpreter), *before, name, *args)
    if not os.path.isfile(os.path.join(cwd or "", name)):
        raise SpawnError(
            f"there is no file {name!r}",
            argv=argv,
            cwd=None if cwd is None else os.fspath(cwd),
            hint="paths are seen from cwd",
        )
    return Target(name, kind, argv)


def search_path() -> str:
    """This process's sys.path for a worker, which may work in another folder."""
    return os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
