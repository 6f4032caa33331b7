"""sd_notify: a datagram socket per copy on which an app says READY=1 (see systemd's sd_notify(3)).

A manager's socket lives in its keeper too, so a word that is said while managers change waits in it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from rookery._base import descriptors
from rookery._base.addresses import LONGEST_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Callable

_SIZE = 4096
_MOST_FDS = 16
_MOST_WORDS = 64


def make_socket(folder: str, name: str, scope: str, uid: int | None) -> tuple[socket.socket, str]:
    """A notify socket and what NOTIFY_SOCKET is to say. uid: the app's user, or None for ours. Raises OSError.

    Below a folder whose path is too long for an address it has a name that is no file's (Linux); below "" always,
    where that can be had. Who sends is checked in any case.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        path = os.path.join(folder, name)
        if not folder or len(os.fsencode(path)) > LONGEST_ADDRESS:
            path = f"@rookery/{scope}/{name}"
            sock.bind("\0" + path[1:])
        else:
            os.makedirs(folder, exist_ok=True)
            os.chmod(folder, 0o711)  # whatever the umask: an app of another user passes through
            with suppress(FileNotFoundError):
                os.unlink(path)
            os.fchmod(sock.fileno(), 0o600)  # before the bind, so that the mode is right at birth
            sock.bind(path)
            if uid is not None:
                os.chown(path, uid, -1)
    except OSError:
        sock.close()
        raise
    return sock, path


class Notify:
    """Listens to one socket, taken over. on_words: called with what was said, {"READY": "1", ...}. One event loop.

    uids: who may speak, besides root.
    """

    def __init__(
        self, sock: socket.socket, address: str, uids: set[int], on_words: Callable[[dict[str, str]], None]
    ) -> None:
        self._sock = sock
        self._address = address
        self._uids = uids | {0}
        self._on_words = on_words
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock, self._readable)

    @property
    def fd(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def _readable(self) -> None:
        space = socket.CMSG_SPACE(12) + descriptors.space(_MOST_FDS)
        try:
            data, ancillary, _, _ = self._sock.recvmsg(_SIZE, space, descriptors.CLOEXEC)
        except OSError:
            return
        uid = -1
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                uid = int.from_bytes(content[4:8], "little")
        for fd in descriptors.received(ancillary):
            os.close(fd)  # of BARRIER=1: its closing says that everything before it was read
        if uid in self._uids:
            words = (line.partition("=") for line in data.decode("utf-8", "replace").splitlines()[:_MOST_WORDS])
            self._on_words({key: value for key, equals, value in words if equals})

    def close(self, *, unlink: bool) -> None:
        """Stop listening; unlink: nobody is to speak here any more."""
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()
        if unlink and not self._address.startswith("@"):
            with suppress(OSError):
                os.unlink(self._address)
