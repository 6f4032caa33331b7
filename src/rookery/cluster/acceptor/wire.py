"""What goes between parent, acceptor and workers: descriptors with a few bytes. Standard library only.

A passed connection is one byte, the number of the listening socket it came through, and one descriptor; a message
holds many. The parent's words to the acceptor are frames of one size, each with the descriptors it speaks of.
"""

from __future__ import annotations

import struct
from collections import namedtuple
from contextlib import suppress

from rookery._base import descriptors

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from typing import NamedTuple

    class Frame(NamedTuple):
        """kind: of the words below; slot, worker: whose; passed: connections it was passed before; marks: of GIVEN."""

        kind: int
        slot: int = 0
        worker: int = 0
        passed: int = 0
        marks: bytes = b""
else:
    Frame = namedtuple("Frame", "kind slot worker passed marks", defaults=(0, 0, 0, b""))  # noqa: PYI024

WORKER = 1
"""Here is a worker: the end of its stream, and its page."""
GONE = 2
"""This worker gets no more."""
GIVEN = 3
"""Connections that nobody has: choose for them."""
READY = b"R"
FAILED = b"E"
"""To the parent: connections are accepted from now on; it cannot be done, and why."""

MOST = 64
"""Connections in a message."""
_FRAME = struct.Struct(f"<BBHIQ{MOST}s")


def send(sock: socket.socket, marks: bytes, fds: Sequence[int]) -> None:
    """Pass connections, all or none. They stay ours too. Raises OSError, BlockingIOError where there is no room."""
    sock.sendmsg([marks], descriptors.rights(fds))


def receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """The next message of passed connections; (b"", []) at the end. Raises OSError, BlockingIOError for none yet."""
    marks, fds, _ = descriptors.receive(sock, MOST, MOST)
    return marks, fds


def send_frame(sock: socket.socket, frame: Frame, fds: Sequence[int] = ()) -> None:
    """One word to the acceptor. Raises OSError, BlockingIOError."""
    packed = _FRAME.pack(frame.kind, len(frame.marks), frame.slot, frame.worker, frame.passed, frame.marks)
    if fds:
        send(sock, packed, fds)
    else:
        sock.send(packed)


def receive_frame(sock: socket.socket) -> tuple[Frame, list[int]] | None:
    """The next word; None at the end. Raises OSError, BlockingIOError for none yet."""
    packed, fds, _ = descriptors.receive(sock, _FRAME.size, MOST)
    if len(packed) < _FRAME.size:
        return None
    kind, count, slot, worker, passed, marks = _FRAME.unpack(packed)
    return Frame(kind, slot, worker, passed, marks[:count]), fds


def all_received(sock: socket.socket) -> list[tuple[bytes, list[int]]]:
    """What waits in a stream of connections; nobody else reads there any more."""
    found = []
    with suppress(OSError):
        while True:
            message = receive(sock)
            if not message[0]:
                break
            found.append(message)
    return found
