"""Which of the sockets of one port the kernel gives new connections to (Linux 4.5; SO_REUSEPORT)."""

from __future__ import annotations

import ctypes
import socket
import struct

_ATTACH = 51  # SO_ATTACH_REUSEPORT_CBPF
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM
_LOAD, _MODULO, _RETURN = 0x20, 0x94, 0x16


def steer(sock: socket.socket, count: int) -> bool:
    """New connections go to the first ``count`` sockets of the group, in the order in which they began to listen.

    Any socket of the group will do. What waits in the others stays there. False where the system has no such thing:
    then all sockets of the group go on getting some.
    """
    if not hasattr(socket, "SCM_CREDENTIALS"):  # that number means something else where this is not Linux
        return False
    steps = [(_LOAD, _RANDOM), (_MODULO, count), (_RETURN, 0)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", step, 0, 0, value) for step, value in steps))
    program = struct.pack("HL", len(steps), ctypes.addressof(code))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH, program)
    except OSError:
        return False
    return True
