"""How messages become bytes: msgpack, JSON; pickle and the codecs of lines stand in modules of their own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from rookery.errors import UsageError
from rookery.ipc.envelope import MARK, Envelope, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MARK = bytes([MARK])
_LOADED = {
    "json-lines": ("rookery.ipc.codec_lines", "JsonLines"),
    "node": ("rookery.ipc.codec_lines", "NodeLines"),
    "pickle": ("rookery.ipc.codec_pickle", "Pickle"),
    "text": ("rookery.ipc.codec_lines", "TextLines"),
}


class Codec(Protocol):
    """Messages to payloads and back. One per channel: it may keep state.

    is_lines: a payload is a line with its end, not what stands in a frame. is_plain: encode() alone makes the payload
    of a plain message; otherwise it is always packed, for it may need descriptors. passes_fds: whether those can be
    passed, set by the channel.
    """

    name: str
    is_lines: bool
    is_plain: bool
    passes_fds: bool

    def encode(self, message: Any) -> bytes:
        """The payload of a plain message. Raises UsageError where it cannot be encoded."""
        ...

    def pack(self, envelope: Envelope) -> tuple[bytes, list[int]]:
        """The payload of an envelope, and descriptors made for it: they go before its own and are the caller's."""
        ...

    def decode_into(self, payloads: Iterable[memoryview], fds: list[int], found: list[Any]) -> None:
        """Append the messages (or Envelopes) of payloads to found, taking their descriptors from the front of fds.

        Raises any exception for what is malformed; found then holds what came before it.
        """
        ...


class Framed:
    """Codecs whose envelopes are MARK and an encoded list of four."""

    name = ""
    is_lines = False
    is_plain = True
    passes_fds = False

    def __init__(self, encode: Callable[[Any], bytes], decode: Callable[[memoryview], Any]) -> None:
        self._encode = encode
        self._decode = decode

    def encode(self, message: Any) -> bytes:
        """See Codec."""
        try:
            return self._encode(message)
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise not_encodable(message, self.name, error) from error

    def pack(self, envelope: Envelope) -> tuple[bytes, list[int]]:
        """See Codec."""
        try:
            return _MARK + self._encode(envelope.parts), []
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise not_encodable(envelope.body, self.name, error) from error

    @property
    def decode_plain(self) -> Callable[[memoryview], Any]:
        """The message of a payload that does not begin with MARK: the short way for one of them."""
        return self._decode

    def decode_into(self, payloads: Iterable[memoryview], fds: list[int], found: list[Any]) -> None:
        """See Codec."""
        decode, append = self._decode, found.append
        for payload in payloads:
            if payload[0] != MARK:
                append(decode(payload))
            else:
                append(opened(decode(payload[1:]), fds))


class Msgpack(Framed):
    """The default: small and fast, plain values only."""

    name = "msgpack"

    def __init__(self) -> None:
        super().__init__(msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode)


class Json(Framed):
    """JSON in frames with a length."""

    name = "json"

    def __init__(self) -> None:
        super().__init__(msgspec.json.Encoder().encode, msgspec.json.Decoder().decode)


def codec_named(codec: str | Codec) -> Codec:
    """A new codec: "msgpack", "json", "json-lines", "node", "pickle" or "text". Raises UsageError for other names."""
    if not isinstance(codec, str):
        return codec
    if codec == Msgpack.name:
        return Msgpack()
    if codec == Json.name:
        return Json()
    if codec not in _LOADED:
        known = ", ".join(sorted([Msgpack.name, Json.name, *_LOADED]))
        raise UsageError(f"there is no codec {codec!r}", hint=f"take one of {known}")
    module, name = _LOADED[codec]
    made: Codec = getattr(importlib.import_module(module), name)()
    return made


def not_encodable(message: object, codec: str, error: Exception) -> UsageError:
    """The error for a message that a codec does not take."""
    return UsageError(f"a message of type {type(message).__name__} cannot be encoded as {codec}", why=str(error))
