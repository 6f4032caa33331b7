"""A codec that tells of each message that passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rookery.ipc import envelope as kinds
from rookery.ipc.envelope import Envelope
from rookery.worker import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rookery.ipc.codecs import Codec

_SILENT = {kinds.PING, kinds.PONG, kinds.CANCEL, kinds.RAW}


class SeenCodec:
    """Does what ``codec`` does; tell("sent" or "received", message) for each message, request, answer and progress."""

    def __init__(self, codec: Codec, tell: Callable[[str, Any], object]) -> None:
        self._codec = codec
        self._tell = tell
        self.name = codec.name
        self.is_lines = codec.is_lines
        self.is_plain = codec.is_plain

    @property
    def passes_fds(self) -> bool:
        """See Codec: set by the channel."""
        return self._codec.passes_fds

    @passes_fds.setter
    def passes_fds(self, passes: bool) -> None:
        self._codec.passes_fds = passes

    def encode(self, message: Any) -> bytes:
        """See Codec."""
        encoded = self._codec.encode(message)
        self._say("sent", message)
        return encoded

    def pack(self, envelope: Envelope) -> tuple[bytes, list[int]]:
        """See Codec."""
        packed = self._codec.pack(envelope)
        self._say("sent", envelope)
        return packed

    def decode_into(self, payloads: Iterable[memoryview], fds: list[int], found: list[Any]) -> None:
        """See Codec."""
        before = len(found)
        try:
            self._codec.decode_into(payloads, fds, found)
        finally:
            for message in found[before:]:
                self._say("received", message)

    def _say(self, way: str, message: Any) -> None:
        if type(message) is Envelope:
            if message.kind in _SILENT:
                return
            message = message.body
        if not words.is_ours(message):
            self._tell(way, message)
