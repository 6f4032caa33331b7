"""From what a port gives to messages, and to the reason why there are no more."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from rookery._base.framing import FrameReader
from rookery.errors import Disconnected, FrameError
from rookery.ipc.codecs import Framed
from rookery.ipc.envelope import MARK
from rookery.ipc.lines import LineReader
from rookery.ipc.ports import close_all

if TYPE_CHECKING:
    from rookery.errors import LinkError
    from rookery.ipc.codecs import Codec
    from rookery.ipc.ports import Port

_SILENT = {errno.ECONNRESET, errno.EPIPE, errno.EIO}


Taken = tuple[list[Any], int, "LinkError | None"]
"""What one read gave: messages, its size in bytes, and why there will be no more after them, or None."""


class Intake:
    """limit: of one message in bytes; name: of the channel, for errors.

    was_reset: whether the other side has left without having read everything.
    """

    was_reset = False

    def __init__(self, port: Port, codec: Codec, *, limit: int, name: str) -> None:
        self._port = port
        self._codec = codec
        self._decode = codec.decode_into
        self._named = f" {name}" if name else ""
        self._reader = LineReader(limit=limit) if codec.is_lines else FrameReader(limit=limit)
        self._only = None if isinstance(self._reader, LineReader) else self._reader.only
        self._plain = codec.decode_plain if isinstance(codec, Framed) else None
        self._read = port.read
        self._room: memoryview | None = None  # the last one, where it is as empty as before

    def read(self) -> Taken:
        """Read once. Raises BlockingIOError where there is nothing to read now, InterruptedError."""
        room, self._room = self._room or self._reader.room(), None
        try:
            size = self._read(room)
        except (BlockingIOError, InterruptedError):
            raise
        except FrameError as error:
            return [], 0, error
        except OSError as error:
            self.was_reset = error.errno == errno.ECONNRESET
            return [], 0, self._gone("" if error.errno in _SILENT else error.strerror or str(error))
        if not size:
            return [], 0, self._gone("")
        found: list[Any] = []
        end: LinkError | None = None
        incoming = self._port.incoming
        try:
            only = self._only(size) if self._only else None
            if only is not None:
                self._room = room
                if self._plain is not None and only and only[0] != MARK:
                    found.append(self._plain(only))
                else:
                    self._decode((only,), incoming, found)
            else:
                self._decode(self._reader.cut(size), incoming, found)
            if incoming:
                if self._codec.is_lines:
                    close_all(incoming)  # lines bring none; Node's come with a handle, which is refused
                elif not self._reader.partial:
                    end = FrameError("descriptors came that no message announced")
        except FrameError as error:
            end = error
        except Exception as error:  # whatever a codec makes of what it is given
            end = FrameError(f"a message is no {self._codec.name}", why=f"{type(error).__name__}: {error}"[:300])
        return found, size, end

    def _gone(self, why: str) -> LinkError:
        partial = self._reader.partial
        if partial:
            return FrameError(f"the channel{self._named} ended inside a message", why=f"{partial} bytes had come")
        return Disconnected(f"the other side of the channel{self._named} has gone", why=why)
