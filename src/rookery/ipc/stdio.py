"""Messages over a pair of pipes, such as stdin and stdout: one JSON value per line, for children in any language."""

from __future__ import annotations

from rookery.ipc.stdio_ends import OverPipes
from rookery.ipc.sync_channel import SyncChannel


class SyncStdioChannel(OverPipes, SyncChannel):
    """A child's side, blocking. Without arguments: this process's own stdin and stdout.

    Those are taken over then: what print() writes goes to stderr from now on, and stdin looks empty, so that nothing
    gets between the messages.
    """
