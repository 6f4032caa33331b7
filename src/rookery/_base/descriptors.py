"""Descriptors that travel with bytes over a Unix socket (SCM_RIGHTS): one way for all who pass them.

socket.recv_fds takes flags and does not hand them on, so what came by it would be inherited by whatever is started.
"""

from __future__ import annotations

import _socket  # socket itself costs the keeper and the workers of a pool some ms of their start
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    Ancillary: TypeAlias = list[tuple[int, int, bytes]]

_FD = struct.Struct("i")
_RIGHTS = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
# Plain integers: arithmetic with the socket module's enumerations costs more than the system call.
CLOEXEC: int = getattr(_socket, "MSG_CMSG_CLOEXEC", 0)
"""The flag for a recvmsg of one's own; received() does what is missing where the system has none."""


def space(most: int) -> int:
    """Room for so many descriptors in a recvmsg."""
    return _socket.CMSG_SPACE(most * _FD.size)


def rights(fds: Iterable[int]) -> Ancillary:
    """The ancillary data of a sendmsg that passes them. They stay the sender's."""
    return [(*_RIGHTS, b"".join(map(_FD.pack, fds)))]


def received(ancillary: Ancillary) -> list[int]:
    """The descriptors in the ancillary data of a recvmsg; they belong to the caller, and no child inherits them."""
    found: list[int] = []
    for level, kind, content in ancillary:
        if (level, kind) == _RIGHTS:
            whole = len(content) - len(content) % _FD.size
            found += (fd for (fd,) in _FD.iter_unpack(content[:whole]))
    if not CLOEXEC:
        for fd in found:
            os.set_inheritable(fd, False)
    return found


def send(sock: _socket.socket, data: bytes | memoryview, fds: Sequence[int]) -> int:
    """Send bytes, and the descriptors with the first of them; how many bytes went. Raises OSError."""
    return sock.sendmsg([data], rights(fds)) if fds else sock.send(data)


def receive(sock: _socket.socket, size: int, most: int, flags: int = 0) -> tuple[bytes, list[int], bool]:
    """Bytes, the descriptors that came with them, and whether some were lost (the limit of open files is reached).

    Raises OSError, BlockingIOError where nothing has come.
    """
    data, ancillary, told, _ = sock.recvmsg(size, space(most), flags | CLOEXEC)
    return data, received(ancillary) if ancillary else [], bool(told & _socket.MSG_CTRUNC)
