"""Giving a child its input from what a caller has at hand."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from rookery.errors import InputClosed, UsageError
from rookery.process.output import OutputStream

if TYPE_CHECKING:
    from rookery.process.input import InputStream

Block = bytes | bytearray | memoryview
Data = Block | str | IO[Any] | Iterable[Block | str] | AsyncIterable[Block | str] | OutputStream[Any]
_PIECE = 65536


def is_whole(data: Data) -> bool:
    """Whether it is there at once, and needs no task that feeds it."""
    return isinstance(data, bytes | bytearray | memoryview | str)


async def feed(stream: InputStream, data: Any) -> None:
    """Write all of it, then close. Returns early where the child does not read any more.

    What the data's own iteration raises comes through, with the stream closed.
    """
    try:
        with suppress(InputClosed):
            if isinstance(data, OutputStream):
                data = data.iter_chunks()
            elif hasattr(data, "read"):
                data = iter(lambda: file.read(_PIECE), type(file.read(0))()) if (file := data) else ()
            if isinstance(data, AsyncIterable):
                async for piece in data:
                    await stream.write(piece)
            elif isinstance(data, Iterable):
                for piece in data:
                    await stream.write(piece)
            else:
                raise UsageError(f"input is to be text, bytes, a file or something to iterate, not {data!r}")
    finally:
        stream.close()
