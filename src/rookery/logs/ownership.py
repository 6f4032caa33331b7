"""Whose line stands open at the end of a log file.

Kept in the file's index, because after a death of the collector the rest of that line must come before anything else.
Keys are ``unit/generation/stream``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.logs.index import IndexWriter

NOBODY = "-"
"""The owner of a line that its writer has left unfinished for good."""


class Ownership:
    """Who wrote last to a file. key: "" where nobody can tell (there was no index)."""

    __slots__ = ("_index", "_released", "key")

    def __init__(self, index: IndexWriter) -> None:
        self._index = index
        self.key = ""
        self._released = False

    def is_of(self, key: str) -> bool:
        """Whether the writer with that key was the last one, and may go on."""
        return self.key == key and not self._released

    def is_gone(self, key: str) -> bool:
        """Whether the last writer will never end his line, as far as the one with this key can know.

        He has let go, or he was an earlier copy of the same unit.
        """
        ours, theirs = key.split("/"), self.key.split("/")
        return self._released or (theirs[0] == ours[0] and theirs[1:2] != ours[1:2])

    def take(self, key: str, offset: int) -> None:
        """The writer with that key goes on from offset."""
        self.key = key
        self._released = False
        self._index.own(key, offset)

    def release(self, key: str, offset: int) -> None:
        """The writer has nothing to write for now: another one may end his unfinished line."""
        if self.is_of(key):
            self._released = True
            self._index.own(NOBODY, offset)

    def began(self, key: str) -> int | None:
        """The offset from which on the writer has written to the present file, if he was the last one."""
        return self._index.since if self._index.owner == key else None

    def on_open(self, offset: int) -> None:
        """The index belongs to another file now; the first one may tell what was before this process."""
        if not self.key:
            self.key = self._index.owner
            self._released = self.key == NOBODY
        elif not self._released:
            self._index.own(self.key, offset)
