"""The last lines of a log, read from its end."""

from __future__ import annotations

import os

from rookery.logs.rotation import rotated

BLOCK = 64 * 1024
"""Bytes per step backwards."""
MOST = 16 * 1024 * 1024
"""Bytes looked through by default."""


def last_lines(path: str, n: int, *, max_bytes: int = MOST, until_offset: int | None = None) -> list[bytes]:
    """The last n lines of a log, oldest first, without their newlines; a missing file has none.

    Goes on into path.1, path.2 ... where the newest file is too short; they are read as one stream.
    max_bytes: look through no more than that many; the first line may then lack its beginning. until_offset: the
    size of the newest file at which to stop, as a flush of the collector tells it.
    Raises OSError where a file is there and may not be read.
    """
    blocks: list[bytes] = []
    newlines = number = missing = 0
    seen: set[tuple[int, int]] = set()
    left = max_bytes
    while n > 0 and left > 0:
        try:
            fd = os.open(rotated(path, number), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            missing += number > 0
            if missing > 1:
                break
            number += 1  # in the middle of a rotation there is a gap of one
            continue
        missing = 0
        try:
            status = os.fstat(fd)
            identity = (status.st_dev, status.st_ino)
            # A rotation since the last round has renamed what we have read to this name.
            end = 0 if identity in seen else status.st_size
            seen.add(identity)
            if number == 0 and until_offset is not None:
                end = min(end, until_offset)
            while end > 0 and left > 0:
                start = max(0, end - min(BLOCK, left))
                block = os.pread(fd, end - start, start)
                if len(block) < end - start:  # shortened by somebody meanwhile
                    end = start
                    continue
                # The newline at the very end ends the last line; it does not begin another one.
                newlines += block.count(b"\n") - (not blocks and block.endswith(b"\n"))
                blocks.append(block)
                left -= len(block)
                end = start
                if newlines >= n:
                    return _split(blocks, n)
        finally:
            os.close(fd)
        number += 1
    return _split(blocks, n)


def last_line_end(fd: int, *, max_bytes: int = MOST) -> int:
    """The offset just after the last newline of an open file (0: it has none): where a follower of lines begins.

    A last line of more than max_bytes counts as whole.
    """
    size = end = os.fstat(fd).st_size
    while end > max(0, size - max_bytes):
        start = max(0, end - BLOCK)
        at = os.pread(fd, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return size if end else 0


def _split(blocks: list[bytes], n: int) -> list[bytes]:
    data = b"".join(reversed(blocks))
    if not data or n <= 0:
        return []
    if data.endswith(b"\n"):
        data = data[:-1]
    return data.split(b"\n")[-n:]
