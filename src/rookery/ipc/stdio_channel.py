"""The asyncio side of messages over a pair of pipes."""

from __future__ import annotations

from rookery.ipc.channel import Channel
from rookery.ipc.stdio_ends import OverPipes


class StdioChannel(OverPipes, Channel):
    """A Channel over two pipes: reading from the child's stdout and writing to its stdin, both taken over.

    One JSON value per line, so that the child may be written in any language. Without arguments: this process's own
    stdin and stdout, see SyncStdioChannel. Raises UsageError where one of them is a plain file.
    """
