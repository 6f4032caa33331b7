"""Messages as lines: JSON for children in any language, JSON as Node speaks it, and plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from rookery.errors import UsageError
from rookery.ipc import envelope as kinds
from rookery.ipc.codecs import not_encodable
from rookery.ipc.envelope import Envelope, opened

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS = {
    "$message": kinds.MESSAGE,
    "$request": kinds.REQUEST,
    "$reply": kinds.REPLY,
    "$error": kinds.ERROR,
    "$cancel": kinds.CANCEL,
    "$progress": kinds.PROGRESS,
    "$ping": kinds.PING,
    "$pong": kinds.PONG,
}
_WORD_OF = {kind: word for word, kind in _WORDS.items()}
_INTERNAL = "NODE_"
_HANDLE = "NODE_HANDLE"
_REFUSED = Envelope(kinds.RAW, 0, b'{"cmd":"NODE_HANDLE_NACK"}\n')


class JsonLines:
    """One JSON value per line. An envelope is an object such as {"$request": 7, "message": ...}."""

    name = "json-lines"
    is_lines = True
    is_plain = True
    passes_fds = False

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder().decode

    def encode(self, message: Any) -> bytes:
        """See Codec."""
        if type(message) is dict and _word_in(message):  # it would be taken for an envelope
            return self._line({_WORD_OF[kinds.MESSAGE]: 0, "message": message}, message)
        return self._line(message, message)

    def pack(self, envelope: Envelope) -> tuple[bytes, list[int]]:
        """See Codec. Raises UsageError for descriptors: lines carry none."""
        if envelope.fds:
            raise UsageError(f"the codec {self.name} passes no descriptors", hint="take msgpack, json or pickle")
        return self._line({_WORD_OF[envelope.kind]: envelope.number, "message": envelope.body}, envelope.body), []

    def decode_into(self, payloads: Iterable[memoryview], fds: list[int], found: list[Any]) -> None:
        """See Codec. Empty lines are passed over."""
        for payload in payloads:
            if len(payload) < 2 and not bytes(payload).strip():
                continue
            message = self._decode(payload)
            word = _word_in(message) if type(message) is dict else None
            if word is not None:
                message = opened([_WORDS[word], message[word], message.get("message"), 0], fds)
            found.append(message)

    def _line(self, value: Any, message: Any) -> bytes:
        try:
            return self._encode(value) + b"\n"
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise not_encodable(message, self.name, error) from error


class NodeLines(JsonLines):
    """What Node speaks over NODE_CHANNEL_FD with NODE_CHANNEL_SERIALIZATION_MODE=json.

    Node's own messages (cmd: NODE_...) are passed over. A handle that Node wants to send is refused, for without an
    answer Node would hold back everything after it.
    """

    name = "node"

    def decode_into(self, payloads: Iterable[memoryview], fds: list[int], found: list[Any]) -> None:
        """See Codec."""
        for payload in payloads:
            before = len(found)
            super().decode_into([payload], fds, found)
            cmd = found[-1].get("cmd") if len(found) > before and type(found[-1]) is dict else None
            if type(cmd) is str and cmd.startswith(_INTERNAL):
                found.pop()
                if cmd == _HANDLE:
                    found.append(_REFUSED)


class TextLines:
    """One line of UTF-8 text per message, for a person with a terminal: no requests, no descriptors."""

    name = "text"
    is_lines = True
    is_plain = True
    passes_fds = False

    def encode(self, message: Any) -> bytes:
        """See Codec."""
        if not isinstance(message, str) or "\n" in message:
            raise UsageError("a message of the codec text is one line of text", why=f"{message!r:.100}")
        return message.encode("utf-8", "replace") + b"\n"

    def pack(self, envelope: Envelope) -> tuple[bytes, list[int]]:  # noqa: ARG002
        """See Codec. Raises UsageError."""
        raise UsageError(f"the codec {self.name} knows no requests, pings or descriptors")

    def decode_into(self, payloads: Iterable[memoryview], fds: list[int], found: list[Any]) -> None:  # noqa: ARG002
        """See Codec; a carriage return at the end is not part of the line."""
        found.extend(bytes(payload).decode().removesuffix("\r") for payload in payloads)


def _word_in(message: dict[Any, Any]) -> str | None:
    return next((word for word in message if word in _WORDS), None)
