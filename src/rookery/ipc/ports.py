"""What a channel reads from and writes to: a connected socket, or a pair of pipes. Nothing here waits."""

from __future__ import annotations

import functools
import os
import socket
from typing import TYPE_CHECKING, Protocol

from rookery._base import descriptors
from rookery.errors import FrameError, UsageError
from rookery.ipc.envelope import MOST_FDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Plain integers: arithmetic with the module's enumerations costs more than the system call.
_TRUNCATED = int(socket.MSG_CTRUNC)
_ANCILLARY = descriptors.space(253)


class Port(Protocol):
    """The two ends of a connection.

    passes_fds: whether descriptors can go with a message; incoming: those that have come and belong to nobody yet.
    send: write one piece, the bytes written; it raises OSError (BlockingIOError).
    """

    passes_fds: bool
    incoming: list[int]
    send: Callable[[bytes | bytearray], int]

    @property
    def reading(self) -> int:
        """The descriptor to wait on for reading."""
        ...

    @property
    def writing(self) -> int:
        """The descriptor to wait on for writing."""
        ...

    def read(self, room: memoryview) -> int:
        """Bytes put into room, 0 at the end. Raises OSError (BlockingIOError), FrameError for lost descriptors."""
        ...

    def write(self, chunks: Sequence[bytes | bytearray | memoryview], fds: Sequence[int]) -> int:
        """Write several pieces, the bytes written; fds go with the first. Raises OSError (BlockingIOError)."""
        ...

    def set_blocking(self, blocking: bool) -> None:
        """Whether read and write wait."""
        ...

    def close(self) -> None:
        """Close both ends and the descriptors that nobody took."""
        ...


class SocketPort:
    """A connected stream socket, taken over."""

    def __init__(self, sock: socket.socket) -> None:
        if sock.type != socket.SOCK_STREAM:
            raise UsageError("a channel wants a stream socket", why=f"this one is {sock.type.name}")
        self._sock = sock
        self._number = sock.fileno()
        self._recv, self._recvmsg = sock.recv_into, sock.recvmsg_into
        self.passes_fds = sock.family == socket.AF_UNIX
        self.incoming: list[int] = []
        self.send: Callable[[bytes | bytearray], int] = sock.send
        if not self.passes_fds:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def reading(self) -> int:
        """See Port."""
        return self._number

    @property
    def writing(self) -> int:
        """See Port."""
        return self._number

    @property
    def sock(self) -> socket.socket:
        """The socket itself."""
        return self._sock

    def read(self, room: memoryview) -> int:
        """See Port."""
        if not self.passes_fds:
            return self._recv(room)
        count, extra, flags, _ = self._recvmsg([room], _ANCILLARY, descriptors.CLOEXEC)
        if extra:
            self.incoming += descriptors.received(extra)
        if flags & _TRUNCATED:  # the kernel has thrown some away, whose they were cannot be told
            raise FrameError("descriptors were lost on the way", hint="raise the limit of open files (ulimit -n)")
        return count

    def write(self, chunks: Sequence[bytes | bytearray | memoryview], fds: Sequence[int]) -> int:
        """See Port."""
        if fds:
            return self._sock.sendmsg(chunks, descriptors.rights(fds))
        return self._sock.sendmsg(chunks)

    def set_blocking(self, blocking: bool) -> None:
        """See Port."""
        self._sock.setblocking(blocking)

    def close(self) -> None:
        """See Port."""
        self._sock.close()
        close_all(self.incoming)


class PipePort:
    """A pipe to read and one to write, taken over. They pass no descriptors."""

    passes_fds = False

    def __init__(self, reading: int, writing: int) -> None:
        self.reading = reading
        self.writing = writing
        self.incoming: list[int] = []
        self.send: Callable[[bytes | bytearray], int] = functools.partial(os.write, writing)

    def read(self, room: memoryview) -> int:
        """See Port."""
        return os.readv(self.reading, [room])

    def write(self, chunks: Sequence[bytes | bytearray | memoryview], fds: Sequence[int]) -> int:  # noqa: ARG002
        """See Port; there are no fds."""
        return os.writev(self.writing, chunks)

    def set_blocking(self, blocking: bool) -> None:
        """See Port."""
        os.set_blocking(self.reading, blocking)
        os.set_blocking(self.writing, blocking)

    def close(self) -> None:
        """See Port."""
        for fd in {self.reading, self.writing} - {-1}:
            os.close(fd)
        self.reading = self.writing = -1


def close_all(fds: list[int]) -> None:
    """Close descriptors and forget them."""
    while fds:
        os.close(fds.pop())


def check_fds(fds: Sequence[int], port: Port) -> None:
    """Raise UsageError where descriptors cannot be passed, or are more than one message may bring."""
    if fds and not port.passes_fds:
        raise UsageError("descriptors go over Unix sockets only")
    if len(fds) > MOST_FDS:
        raise UsageError(f"{len(fds)} descriptors are more than the {MOST_FDS} that one message may bring")
