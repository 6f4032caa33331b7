"""What travels beside plain messages: requests, answers, pings, and messages that bring descriptors.

A plain message is its codec's bytes and nothing else. A payload that begins with MARK is an envelope, a list of kind,
number, body and how many descriptors came with it; no codec's own bytes begin so (msgpack never uses it, it is no
UTF-8, and no pickle).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rookery.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

MARK: Final = 0xC1

MESSAGE: Final = 0
REQUEST: Final = 1
REPLY: Final = 2
ERROR: Final = 3
CANCEL: Final = 4
PROGRESS: Final = 5
PING: Final = 6
PONG: Final = 7
RAW: Final = 8
"""Never travels: bytes that a codec wants to be sent back at once."""

MOST_FDS: Final = 250
"""Descriptors with one message; the kernel passes 253."""
MOST_NUMBER: Final = 2**53 - 1
"""Every language can count so far."""


class Envelope(NamedTuple):
    """kind: one of the above; number: of the request it belongs to, or 0."""

    kind: int
    number: int
    body: Any
    fds: Sequence[int] = ()

    @property
    def parts(self) -> tuple[int, int, Any, int]:
        """What travels of it."""
        return self.kind, self.number, self.body, len(self.fds)


def opened(parts: object, fds: list[int]) -> Envelope:
    """The envelope that was decoded from parts; its descriptors are taken from the front of fds.

    Raises FrameError where it is none, or its descriptors have not come.
    """
    if isinstance(parts, list | tuple) and len(parts) == 4:
        kind, number, body, count = parts
        if (
            type(kind) is type(number) is type(count) is int
            and MESSAGE <= kind <= PONG
            and 0 <= number <= MOST_NUMBER
            and count >= 0
        ):
            return Envelope(kind, number, body, claimed(count, fds) if count else ())
    raise FrameError(f"an envelope is malformed: {parts!r:.100}")


def claimed(count: int, fds: list[int]) -> list[int]:
    """So many descriptors from the front of fds. Raises FrameError where fewer have come."""
    if count > len(fds):
        raise FrameError(f"{count} descriptors were announced, {len(fds)} came")
    found = fds[:count]
    del fds[:count]
    return found
