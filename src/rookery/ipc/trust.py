"""Who is at the other end."""

from __future__ import annotations

import ipaddress
import socket

from rookery._os import kernel
from rookery.errors import NotTrusted


def check_peer(sock: socket.socket, uids: frozenset[int] | None) -> None:
    """Raise NotTrusted where the process at the other end of a Unix socket runs as another user than one of uids."""
    if uids is None or sock.family != socket.AF_UNIX:
        return
    pid, uid, _ = kernel.peer(sock)
    if uid not in uids:
        raise NotTrusted(f"process {pid} of uid {uid} may not talk here")


def is_loopback(address: str) -> bool:
    """Whether an address leads to this machine only."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
