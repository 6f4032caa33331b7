"""Messages over a pair of pipes, such as stdin and stdout: one JSON value per line, for children in any language."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rookery._base.framing import MAX_FRAME
from rookery.ipc.ports import PipePort
from rookery.ipc.sync_channel import SyncChannel

if TYPE_CHECKING:
    from typing import Self

    from rookery.ipc.codecs import Codec


class SyncStdioChannel(SyncChannel):
    """A child's side, blocking. Without arguments: this process's own stdin and stdout.

    Those are taken over then: what print() writes goes to stderr from now on, and stdin looks empty, so that nothing
    gets between the messages.
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


def port_of(reading: int | None, writing: int | None) -> PipePort:
    """A port of these descriptors, which are taken over, or of this process's own stdin and stdout."""
    if reading is None or writing is None:
        return _own()
    return PipePort(reading, writing)


def _own() -> PipePort:
    if sys.stdout is not None:
        sys.stdout.flush()
    port = PipePort(os.dup(0), os.dup(1))  # not inherited by children
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return port
