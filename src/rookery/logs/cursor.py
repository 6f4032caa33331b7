"""Positions in logs, kept between two runs."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import zlib

from rookery.logs.position import Position

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1


def load_cursor(path: str) -> dict[str, Position] | None:
    """The positions by log file; None where there is no such file yet.

    Raises ValueError where it holds something else, OSError where it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return None
    if not data:  # made beforehand, by mktemp for example
        return None
    try:
        saved = json.loads(data)
        if saved["version"] != VERSION:
            raise ValueError(f"its version is {saved['version']}, not {VERSION}")
        return {str(name): _position(*numbers) for name, numbers in saved["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no cursor file: {error}") from error


def save_cursor(path: str, positions: Mapping[str, Position | None]) -> None:
    """Replace the file in one step. Raises OSError."""
    files = {
        name: [at.device, at.inode, at.offset, *at.mark, at.written] for name, at in positions.items() if at is not None
    }
    path = os.path.realpath(path)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "x") as file:
            json.dump({"version": VERSION, "files": files}, file)
            file.write("\n")
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def pack_positions(positions: Mapping[str, Position | None]) -> str:
    """Positions as one word, for the id of an event."""
    rows = [[name, *at[:3], *at.mark, at.written] for name, at in positions.items() if at is not None]
    data = zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 1)
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpack_positions(word: str, *, most: int = 4 * 1024 * 1024) -> dict[str, Position]:
    """What pack_positions() was given. Raises ValueError for anything else."""
    try:
        packed = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
        data = zlib.decompressobj().decompress(packed, most)
        return {str(name): _position(*numbers) for name, *numbers in json.loads(data)}
    except (ValueError, TypeError, zlib.error) as error:
        raise ValueError(f"this is no position in a log: {word[:40]!r}") from error


def _position(device: int, inode: int, offset: int, length: int, check: int, written: int) -> Position:
    numbers = (device, inode, offset, length, check, written)
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("a position is made of numbers from 0")
    return Position(device, inode, offset, (min(length, 4096), check), written)
