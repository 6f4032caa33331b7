"""Listening sockets that outlive a manager: made once, then kept by the keeper."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from rookery.control import places

if TYPE_CHECKING:
    from rookery.daemon.manager.keeper_client import KeeperClient

_BACKLOG = 512


class Listener(NamedTuple):
    """A listening socket. is_new: whether it was made just now."""

    sock: socket.socket
    is_new: bool


async def listener(keeper: KeeperClient, name: str, path: str) -> Listener:
    """The socket kept under name, or a new one at path that is kept from now on. Raises OSError, LinkError."""
    kept = await keeper.get([name])
    if name in kept:
        found = socket.socket(fileno=kept[name])
        if os.path.exists(path):
            return Listener(found, is_new=False)
        found.close()  # its folder was cleaned away: nobody can reach it any more
    fresh = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.fchmod(fresh.fileno(), 0o600)  # before the bind, so that the mode is right at birth
    with suppress(FileNotFoundError):
        os.unlink(path)
    with places.connectable(path) as address:
        fresh.bind(address)
    fresh.listen(_BACKLOG)
    await keeper.put([name], [fresh.fileno()])
    return Listener(fresh, is_new=True)


def connect(path: str) -> socket.socket:
    """A connection to a socket of ours. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with places.connectable(path) as address:
            sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock
