"""One connection to the keeper: frames of JSON, descriptors beside them."""

from __future__ import annotations

import json
import os

from rookery import errors
from rookery._base import descriptors
from rookery._base.framing import FrameBuffer, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

_READ = 65536
_MOST_FDS = 250
_MOST_WAITING = 64 * 1024 * 1024


class Connection:
    """A client; pid: its process. It is non-blocking; what cannot be sent at once waits here, up to 64 MiB."""

    def __init__(self, sock: socket.socket, pid: int = 0) -> None:
        self.sock = sock
        self.pid = pid
        self.epoch = 0
        self.lease_id: object = None
        """The id of a lease request whose answer is still to come."""
        self._buffer = FrameBuffer()
        self._received: list[int] = []
        self._waiting: list[tuple[bytes, list[int]]] = []
        self._waiting_size = 0

    def receive(self) -> list[dict[str, object]] | None:
        """The requests that have arrived; None at the end. Raises LinkError, OSError."""
        data, fds, were_lost = descriptors.receive(self.sock, _READ, _MOST_FDS)
        self._received += fds
        if were_lost:
            raise errors.FrameError("descriptors were lost on the way", why="the limit of open files is reached")
        if not data:
            return None
        requests: list[dict[str, object]] = []
        for payload in self._buffer.feed(data):
            try:
                message = json.loads(payload)
            except (ValueError, RecursionError) as error:
                raise errors.FrameError("a request is not JSON", why=str(error)) from None
            if not isinstance(message, dict):
                raise errors.FrameError("a request is not a JSON object")
            requests.append(message)
        return requests

    def take_fds(self, count: object) -> list[int]:
        """The next descriptors that came. Raises FrameError where there are fewer, or count is no number."""
        if not isinstance(count, int) or not 0 <= count <= len(self._received):
            raise errors.FrameError(f"{count!r} descriptors announced, {len(self._received)} came")
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def send(self, message: dict[str, object], fds: Sequence[int] = ()) -> None:
        """Send, or keep until the other side reads. fds are copied at once. Raises LinkError when too much waits."""
        data = frame(json.dumps(message).encode())
        self._waiting.append((data, [os.dup(fd) for fd in fds]))
        self._waiting_size += len(data)
        if self._waiting_size > _MOST_WAITING:
            raise errors.LinkError("the other side does not read")
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it. Raises OSError."""
        while self._waiting:
            data, fds = self._waiting[0]
            try:
                sent = descriptors.send(self.sock, data, fds)
            except BlockingIOError:
                return
            for fd in fds:
                os.close(fd)
            self._waiting_size -= sent
            if sent == len(data):
                self._waiting.pop(0)
            else:
                self._waiting[0] = (data[sent:], [])

    @property
    def wants_to_write(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._waiting)

    def close(self) -> None:
        """Close it with every descriptor that nobody took."""
        for fd in self._received:
            os.close(fd)
        for _, fds in self._waiting:
            for fd in fds:
                os.close(fd)
        self._received.clear()
        self._waiting.clear()
        self.sock.close()
