"""The program of a worker: read the orders, import the app, serve it."""

from __future__ import annotations

import faulthandler
import importlib
import inspect
import os
import sys
from typing import Any

from rookery.cluster import contract


def main() -> None:
    """Serve until it is told to drain; the exit code is 0 then."""
    # SIGABRT, the parent's word to one who is stuck, says where it is stuck.
    faulthandler.enable()
    orders = contract.take()
    sys.argv = sys.argv[1:]  # the app's name, and what args said
    for entry in orders.path:
        if entry not in sys.path:
            sys.path.append(entry)
    for fd in (*orders.sockets, *([orders.page] if orders.page >= 0 else [])):
        os.set_inheritable(fd, False)
    app = find(orders.app)
    if orders.factory:
        app = app()
    if orders.kind == "socket":
        from rookery.cluster.runner.listening import serve  # noqa: PLC0415 - asyncio is for those who use it

        serve(app, orders)
    elif orders.kind == "connection":
        from rookery.cluster.runner.connections import serve as serve_connections  # noqa: PLC0415

        serve_connections(app, orders)
    else:
        from rookery.cluster.runner.web import serve as serve_web  # noqa: PLC0415

        serve_web(app, orders, kind=orders.kind if orders.kind != "auto" else interface_of(app))


def find(name: str) -> Any:
    """What ``package.module:attribute`` names. Raises whatever the import raises, AttributeError."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def interface_of(app: Any) -> str:
    """asgi, asgi2 or wsgi, by looking at the app."""
    call = app if inspect.isfunction(app) or inspect.ismethod(app) or inspect.isclass(app) else type(app).__call__
    if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(app):
        return "asgi"
    try:
        parameters = [
            parameter
            for parameter in inspect.signature(app).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            and parameter.default is parameter.empty
        ]
    except (TypeError, ValueError):
        return "asgi"
    return {1: "asgi2", 2: "wsgi"}.get(len(parameters), "asgi")
