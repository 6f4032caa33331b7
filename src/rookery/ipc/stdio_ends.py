"""What both kinds of channels over pipes have: how they are made."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rookery._base.framing import MAX_FRAME
from rookery.ipc.ports import PipePort

if TYPE_CHECKING:
    from typing import Self

    from rookery.ipc.codecs import Codec


class OverPipes:
    """Comes before the Channel or SyncChannel whose ends are pipes."""

    def __init__(
        self,
        reading: int | None = None,
        writing: int | None = None,
        *,
        codec: str | Codec = "json-lines",
        max_message: int = MAX_FRAME,
        name: str = "stdio",
    ) -> None:
        port = _own() if reading is None or writing is None else PipePort(reading, writing)
        super().__init__(port, codec=codec, max_message=max_message, name=name)  # type: ignore[call-arg] # the channel's

    @classmethod
    def pair(cls, *, codec: str = "json-lines", max_message: int = MAX_FRAME) -> tuple[Self, Self]:
        """Two ends in this process, over two pipes. Raises OSError."""
        ours = os.pipe()
        try:
            theirs = os.pipe()
        except OSError:
            os.close(ours[0])
            os.close(ours[1])
            raise
        return (
            cls(ours[0], theirs[1], codec=codec, max_message=max_message),
            cls(theirs[0], ours[1], codec=codec, max_message=max_message),
        )


def _own() -> PipePort:
    if sys.stdout is not None:
        sys.stdout.flush()
    port = PipePort(os.dup(0), os.dup(1))  # not inherited by children
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return port
