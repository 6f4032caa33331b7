"""What could not be written: counted while the disk is full, told in the file afterwards."""

from __future__ import annotations


class Loss:
    """The gap in one log file.

    lines, size: lines that lost bytes, and the bytes (as they would have been written); torn: the gap ends inside
    a line, whose rest must be lost too. all_lines, all_bytes: since the start.
    """

    __slots__ = ("all_bytes", "all_lines", "lines", "size", "torn")

    def __init__(self) -> None:
        self.lines = 0
        self.size = 0
        self.torn = False
        self.all_lines = 0
        self.all_bytes = 0

    def add(self, data: bytes) -> None:
        """Count these bytes (at least one) as lost."""
        whole = data.endswith(b"\n")
        # The first line of data was counted already if the gap was inside it.
        lines = data.count(b"\n") + (not whole) - self.torn
        self.torn = not whole
        self.lines += lines
        self.all_lines += lines
        self.size += len(data)
        self.all_bytes += len(data)

    def rest_of_line(self, data: bytes) -> int:
        """How many of the next bytes belong to a line that has lost its beginning."""
        if not self.torn:
            return 0
        return data.find(b"\n") + 1 or len(data)

    def mark(self, why: str) -> bytes:
        """The line that stands in the file for what is missing."""
        return f"[rookery] {self.lines} lines ({self.size} bytes) were dropped here: {why}\n".encode()

    def clear(self) -> None:
        """The mark has been written."""
        self.lines = self.size = 0
        self.torn = False
