"""Messages that are encoded when they are submitted: what is changed afterwards, the task does not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rookery.ipc.codecs import codec_named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rookery.ipc.envelope import Envelope


class Prepared(bytes):
    """A message as the channel writes it."""

    __slots__ = ()


class PreparedCodec:
    """Does what the codec of that name does, and lets pass what it has encoded before."""

    is_plain = True

    def __init__(self, name: str) -> None:
        self._codec = codec_named(name)
        self._encode = self._codec.encode
        self.name = name
        self.is_lines = self._codec.is_lines

    @property
    def passes_fds(self) -> bool:
        """See Codec."""
        return self._codec.passes_fds

    @passes_fds.setter
    def passes_fds(self, passes: bool) -> None:
        self._codec.passes_fds = passes

    def prepare(self, message: Any) -> Prepared:
        """Encode it now. Raises UsageError. Thread-safe."""
        return Prepared(self._encode(message))

    def encode(self, message: Any) -> bytes:
        """See Codec."""
        return message if type(message) is Prepared else self._encode(message)

    def pack(self, envelope: Envelope) -> tuple[bytes, list[int]]:
        """See Codec."""
        return self._codec.pack(envelope)

    def decode_into(self, payloads: Iterable[memoryview], fds: list[int], found: list[Any]) -> None:
        """See Codec."""
        self._codec.decode_into(payloads, fds, found)
