"""What a cluster can run, and of which kind it is. Pure but for looking at the words."""

from __future__ import annotations

import os
import re
from typing import Any, Literal, TypeAlias, get_args

from rookery.errors import UsageError

Kind = Literal["auto", "asgi", "wsgi", "socket", "connection", "program", "node"]
App: TypeAlias = str | tuple[str, ...]
_ATTRIBUTE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_NODE = (".js", ".mjs", ".cjs")


def kind_of(app: Any, kind: str) -> tuple[Kind, App]:
    """The kind ("auto" for an ASGI or WSGI app, told apart in the worker) and the app. Raises UsageError."""
    if kind not in get_args(Kind):
        raise UsageError(f"kind is one of {', '.join(get_args(Kind))}, not {kind!r}")
    if hasattr(app, "__fspath__"):
        app = os.fspath(app)
    if isinstance(app, list | tuple):
        command = tuple(os.fspath(part) if hasattr(part, "__fspath__") else str(part) for part in app)
        if not command:
            raise UsageError("the command is empty")
        if kind not in ("auto", "program", "node"):
            raise UsageError(f"a command is a program, not {kind!r}", hint="leave kind out")
        if kind == "auto":
            kind = "program"
        return kind, command  # type: ignore[return-value]
    if not isinstance(app, str):
        raise UsageError(
            f"a worker imports its app itself: name it, do not hand over {app!r:.60}",
            hint="Cluster('package.module:attribute')",
        )
    if kind in ("program", "node"):
        return kind, app if kind == "node" else (app,)  # type: ignore[return-value]
    if kind == "auto" and app.endswith(_NODE):
        return "node", app
    if not _ATTRIBUTE.fullmatch(app):
        raise UsageError(
            f"{app!r} is no app",
            hint="'package.module:attribute', 'server.js', or a list: the command of a program that takes sockets",
        )
    if app.startswith("__main__:"):
        raise UsageError("a worker cannot import from __main__", hint="put the app into a module of its own")
    return kind, app  # type: ignore[return-value]
