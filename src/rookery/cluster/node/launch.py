"""How a Node worker is started: its script unchanged, ours before it.

parent                                              Node
  -- descriptors: listening sockets, channel -------->   preload.cjs: listen() gets those sockets
  -- ROOKERY_NODE, NODE_UNIQUE_ID, NODE_CHANNEL_FD -->   node:cluster: isWorker, worker.id
  <------------ ready, listening, stats, draining ----   see words.py
  -- SIGTERM, or {"cmd": "NODE_ROOKERY"} ------------>   drain
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any, Final

from rookery.cluster.launch import Launch, facts

if TYPE_CHECKING:
    from rookery.cluster.launch import Place, Recipe

PRELOAD: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "preload", "preload.cjs")
ORDERS: Final = "ROOKERY_NODE"
OPTIONS: Final = "NODE_OPTIONS"
STATS_PERIOD: Final = 1.0


def node(recipe: Recipe, place: Place) -> Launch:
    """The command, environment and descriptors of one worker; descriptors keep their numbers.

    The option "orphan" says what a worker does that has lost its parent: "drain" (and end), or "serve".
    """
    settings = recipe.settings
    command = (settings.interpreter or "node", recipe.app) if isinstance(recipe.app, str) else recipe.app
    given = {**os.environ, **settings.env, **recipe.env}
    own_options = given.get(OPTIONS)
    sockets = [_described(*both) for both in zip(place.sockets, place.ours or place.sockets, strict=True)]
    orders = {
        "sockets": sockets,
        "backlog": settings.backlog,
        "linger": settings.linger,
        "drain": settings.drain_timeout,
        "grace": settings.graceful_timeout,
        "period": STATS_PERIOD,
        "orphan": settings.options.get("orphan", "drain"),
        "nodeOptions": own_options,
    }
    env = facts(recipe, place)
    ports = [one["port"] for one in sockets if "port" in one]
    if place.port is None and ports and not {"PORT"} & {*settings.env, *recipe.env}:
        env["PORT"] = str(ports[0])
    env |= {
        ORDERS: json.dumps(orders, separators=(",", ":")),
        OPTIONS: preloading(own_options),
        "NODE_UNIQUE_ID": str(place.slot + 1),
        "NODE_APP_INSTANCE": str(place.slot),
    }
    fds = [*place.sockets, *([place.channel] if place.channel >= 0 else [])]
    return Launch((*command, *settings.args), env, {fd: fd for fd in fds})


def preloading(own: str | None) -> str:
    """NODE_OPTIONS with our script; it puts back what was there, so that no child of the app gets it."""
    path = PRELOAD.replace("\\", "\\\\").replace('"', '\\"')
    return f'{own} --require "{path}"' if own else f'--require "{path}"'


def _described(fd: int, ours: int) -> dict[str, Any]:
    sock = socket.socket(fileno=ours)
    try:
        name = sock.getsockname()
        if sock.family == socket.AF_UNIX:
            return {"fd": fd, "path": os.fsdecode(name)}
        return {"fd": fd, "host": name[0], "port": name[1]}
    finally:
        sock.detach()
