"""The channel that this process was started with: finding it, once. Imports no asyncio."""

from __future__ import annotations

import os
import socket
from typing import NamedTuple

from rookery._base.framing import MAX_FRAME
from rookery.errors import UsageError
from rookery.worker import words


class Inherited(NamedTuple):
    """is_ours: whether the parent speaks our protocol; else it is Node.

    heartbeat: where its bytes come, if it sends any; limit: seconds without one after which it is silent.
    """

    sock: socket.socket
    codec: str
    max_message: int
    is_ours: bool
    heartbeat: socket.socket | None
    limit: float


def take() -> Inherited:
    """The socket that fork() or Node gave to this process; what tells of it goes from the environment.

    So it can be taken once, and no child of this process takes it for its own. Raises UsageError where there is none.
    """
    found = {name: os.environ.pop(name, "") for name in words.ALL}
    number = found[words.FD] or found[words.NODE_FD]
    if not number:
        raise UsageError(
            "this process has no channel to its parent, or it is open already",
            hint="start it with rookery.fork(), or with fork() of Node's child_process",
        )
    is_ours = bool(found[words.FD])
    if not is_ours and found[words.NODE_MODE] not in ("", "json"):
        raise UsageError(
            f"the parent speaks Node's serialization {found[words.NODE_MODE]!r}", hint="use {serialization: 'json'}"
        )
    sock = _socket(number)
    codec = (found[words.CODEC] or "msgpack") if is_ours else "node"
    heartbeat = _socket(found[words.HEARTBEAT_FD]) if is_ours and found[words.HEARTBEAT_FD] else None
    limit = float(found[words.HEARTBEAT_LIMIT] or 0)
    return Inherited(sock, codec, int(found[words.MAX_MESSAGE] or MAX_FRAME), is_ours, heartbeat, limit)


def _socket(number: str) -> socket.socket:
    sock: socket.socket | None = None
    try:
        sock = socket.socket(fileno=int(number))
        is_channel = sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM
    except (OSError, ValueError):
        is_channel = False
    if sock is None or not is_channel:
        if sock is not None:
            sock.detach()  # it is somebody else's
        raise UsageError(
            f"descriptor {number} is no channel", hint="the variables that name it were inherited by a grandchild"
        )
    sock.set_inheritable(False)
    return sock
