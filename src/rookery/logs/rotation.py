"""The names of rotated files: NAME.1 is the newest of them.

Names are built, never searched for: ``web-1.out.log`` must not touch what belongs to ``web-10.out.log``.
"""

from __future__ import annotations

import contextlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def rotated(path: str, number: int) -> str:
    """The name of the file that was rotated away ``number`` rotations ago; 0 is the file itself."""
    return f"{path}.{number}" if number else path


def shift(path: str, keep: int) -> None:
    """Move path to path.1, path.1 to path.2 and so on; keep so many, delete what is older (0 deletes path too).

    Raises OSError where a rename is refused; whatever was moved until then stays moved, nothing is overwritten but
    the oldest.
    """
    if keep == 0:
        os.unlink(path)
    # Up to the first gap: one is left where this process was killed half-way, and must not wander up for ever. From
    # the top, so that a refusal half-way leaves a gap and never overwrites a younger file.
    top = 1
    while top < keep and os.path.lexists(rotated(path, top)):
        top += 1
    for number in range(min(top, keep) - 1, -1, -1):
        with contextlib.suppress(FileNotFoundError):
            os.rename(rotated(path, number), rotated(path, number + 1))
    with contextlib.suppress(OSError):
        number = keep + 1
        while True:  # what an earlier, larger keep has left; the first gap ends it
            os.unlink(rotated(path, number))
            number += 1


def chain(path: str) -> Iterator[tuple[int, os.stat_result]]:
    """The files of a log that are there, newest first, with their numbers (0 is path itself).

    A gap of one is passed over: there is one in the middle of a rotation, and after a kill there until the next.
    """
    number = missing = 0
    while missing < 2:
        try:
            status = os.stat(rotated(path, number))
        except OSError:
            missing += number > 0  # path itself may well be missing
        else:
            missing = 0
            yield number, status
        number += 1
