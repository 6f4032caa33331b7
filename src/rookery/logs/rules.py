"""How a log file is kept."""

from __future__ import annotations


class Rules:
    """What the manager asks for.

    max_size: bytes before rotation, 0 for never; a file may pass it to finish a line. keep: rotated files. rotate:
    "never", "hourly", "daily" or "weekly". compress: older rotated files. blocks: while the disk is full writers
    wait; otherwise what they write is dropped and counted.
    """

    __slots__ = ("blocks", "compress", "keep", "max_size", "rotate")

    def __init__(
        self, max_size: int = 0, keep: int = 7, *, rotate: str = "never", compress: bool = False, blocks: bool = False
    ) -> None:
        self.max_size = max_size
        self.keep = keep
        self.rotate = rotate
        self.compress = compress
        self.blocks = blocks
