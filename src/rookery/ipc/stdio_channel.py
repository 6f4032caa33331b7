"""The asyncio side of messages over a pair of pipes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rookery._base.framing import MAX_FRAME
from rookery.ipc.channel import Channel
from rookery.ipc.stdio import port_of

if TYPE_CHECKING:
    from typing import Self

    from rookery.ipc.codecs import Codec


class StdioChannel(Channel):
    """A Channel over two pipes: reading from the child's stdout and writing to its stdin, both taken over.

    One JSON value per line, so that the child may be written in any language. Without arguments: this process's own
    stdin and stdout, see SyncStdioChannel. Raises UsageError where one of them is a plain file.
    """

    def __init__(
        self,
        reading: int | None = None,
        writing: int | None = None,
        *,
        codec: str | Codec = "json-lines",
        max_message: int = MAX_FRAME,
        name: str = "stdio",
    ) -> None:
        super().__init__(port_of(reading, writing), codec=codec, max_message=max_message, name=name)

    @classmethod
    def pair(cls, *, codec: str = "json-lines", max_message: int = MAX_FRAME) -> tuple[Self, Self]:
        """Two ends in this process, over two pipes. Raises OSError."""
        ours, theirs = os.pipe(), os.pipe()
        return (
            cls(ours[0], theirs[1], codec=codec, max_message=max_message),
            cls(theirs[0], ours[1], codec=codec, max_message=max_message),
        )
