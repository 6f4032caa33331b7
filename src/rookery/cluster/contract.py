"""What parent and worker agree on: variables of the environment, descriptors, signals. Standard library only.

parent                                                    worker
  -- descriptors: listening sockets, page, channel ------>
  -- ROOKERY_SLOT, _WORKER_ID, _APP, NOTIFY_SOCKET ------>
  <------------- READY=1, STOPPING=1, STATUS=, WATCHDOG=1 --   on NOTIFY_SOCKET, as systemd has it
  -- SIGTERM: drain ------------------------------------->   accept no more, finish, end with 0
A program finds its sockets from descriptor 3 on (LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES); our runner finds all it is to
do in ROOKERY_CLUSTER.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from typing import Any, NamedTuple

SLOT = "ROOKERY_SLOT"
WORKER_ID = "ROOKERY_WORKER_ID"
APP = "ROOKERY_APP"
RUNNER = "ROOKERY_CLUSTER"
NOTIFY = "NOTIFY_SOCKET"
LISTEN_FDS = "LISTEN_FDS"
LISTEN_PID = "LISTEN_PID"
LISTEN_NAMES = "LISTEN_FDNAMES"
FIRST_FD = 3
DRAINING = "draining"


class Orders(NamedTuple):
    """What our runner is to do.

    app: ``package.module:attribute``; kind: "asgi", "wsgi", "auto" (one of both), "socket" or "connection"; factory:
    call it to have the app; sockets: numbers of the listening sockets; page: number of the page of statistics, or -1;
    linger, drain_timeout, graceful_timeout, request_timeout: seconds; check: a path that the app is to answer well
    before it is ready, or ""; options: of uvicorn, or of the kind; path: folders to look for modules in, besides;
    source: where connections come from: {} for the listening sockets.
    """

    app: str
    kind: str = "auto"
    factory: bool = False
    sockets: tuple[int, ...] = ()
    page: int = -1
    linger: float = 2.0
    drain_timeout: float = 30.0
    graceful_timeout: float = 10.0
    request_timeout: float | None = None
    check: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012 - never written to
    path: tuple[str, ...] = ()
    source: dict[str, Any] = {}  # noqa: RUF012 - never written to


def encode(orders: Orders) -> str:
    """For the variable RUNNER."""
    return json.dumps(orders._asdict(), separators=(",", ":"))


def take() -> Orders:
    """The orders of this process; the variable goes, so that no child of it takes them for its own. KeyError."""
    plain = json.loads(os.environ.pop(RUNNER))
    known = {name: plain[name] for name in Orders._fields if name in plain}
    for name in ("sockets", "path"):
        known[name] = tuple(known.get(name, ()))
    return Orders(**known)


def notify(*words: str) -> bool:
    """Tell whoever started this process, as sd_notify does; False where nobody wants to hear it."""
    address = os.environ.get(NOTIFY, "")
    if not address:
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.send("\n".join(words).encode())
        return True
    return False
