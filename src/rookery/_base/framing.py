"""The one framing: a 4-byte big-endian length, then that many bytes.

Standard library only; the keeper and the collector speak it too.
"""

from __future__ import annotations

import struct

from rookery.errors import FrameError

HEADER = struct.Struct(">I")
MAX_FRAME = 16 * 1024 * 1024


def frame(payload: bytes, *, limit: int = MAX_FRAME) -> bytes:
    """One frame around payload. Raises FrameError where it is larger than limit (bytes)."""
    if len(payload) > limit:
        raise FrameError(f"a message of {len(payload)} bytes is larger than the limit of {limit}")
    return HEADER.pack(len(payload)) + payload


class FrameBuffer:
    """Cuts a byte stream into payloads.

    limit: the largest payload taken, in bytes. Not safe for several threads at once.
    """

    def __init__(self, *, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived; return the payloads that are now whole.

        Raises FrameError for a length above the limit: the stream cannot be trusted from there on.
        """
        pending = self._pending
        pending += data
        whole: list[bytes] = []
        start = 0
        while len(pending) - start >= HEADER.size:
            (size,) = HEADER.unpack_from(pending, start)
            if size > self._limit:
                del pending[start + HEADER.size :]  # nothing that follows is kept, however often it is fed
                del pending[:start]
                raise FrameError(f"a frame announces {size} bytes, more than the limit of {self._limit}")
            end = start + HEADER.size + size
            if len(pending) < end:
                break
            whole.append(bytes(pending[start + HEADER.size : end]))
            start = end
        del pending[:start]
        return whole

    @property
    def is_empty(self) -> bool:
        """Whether no part of a frame is waiting for its rest."""
        return not self._pending
