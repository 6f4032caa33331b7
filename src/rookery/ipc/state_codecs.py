"""How a value becomes the bytes of a file."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from rookery.errors import UsageError


class Codec(Protocol):
    """Both ways. decode() raises anything for bytes that are none of its own; encode() raises UsageError."""

    def encode(self, value: Any) -> bytes:
        """The bytes of a value."""
        ...

    def decode(self, data: bytes) -> Any:
        """The value of some bytes."""
        ...


class Json:
    """JSON for people to read; structs, dataclasses and dates go in, plain values come out."""

    def encode(self, value: Any) -> bytes:
        """See Codec."""
        try:
            return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise UsageError("this value cannot be written as JSON", why=str(error)) from error

    def decode(self, data: bytes) -> Any:
        """See Codec."""
        return msgspec.json.decode(data)


class Bytes:
    """As they are."""

    def encode(self, value: Any) -> bytes:
        """See Codec."""
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise UsageError(f"this file takes bytes, got {type(value).__name__}", hint='or make it with codec="json"')
        return bytes(value)

    def decode(self, data: bytes) -> bytes:
        """See Codec."""
        return data


def codec(choice: str | Codec) -> Codec:
    """By name ("json", "bytes"), or itself. Raises UsageError."""
    if choice == "json":
        return Json()
    if choice == "bytes":
        return Bytes()
    if isinstance(choice, str):
        raise UsageError(
            f"there is no codec {choice!r}", hint='use "json", "bytes", or an object with encode and decode'
        )
    return choice
