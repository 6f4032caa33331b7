"""Where a child's standard streams go: the words, and tee."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from rookery.errors import UsageError

if TYPE_CHECKING:
    from rookery.process.output import OutputStream


class Stdio(Enum):
    """Words for stdin, stdout and stderr."""

    PIPE = "pipe"
    """A live stream: ``child.stdin``, ``child.stdout``, ``child.stderr``."""
    CAPTURE = "capture"
    """Kept in memory, for the result."""
    INHERIT = "inherit"
    """Ours."""
    DISCARD = "discard"
    """/dev/null."""
    STDOUT = "stdout"
    """For stderr: wherever stdout goes, in the order in which it was written."""


PIPE, CAPTURE, INHERIT, DISCARD, STDOUT = Stdio
Path: TypeAlias = str | os.PathLike[str]
Target: TypeAlias = Stdio | Path | int | IO[Any] | Callable[[bytes], object]


class Tee:
    """One output to several places; see tee()."""

    def __init__(self, targets: tuple[Target, ...]) -> None:
        self.targets = targets


def tee(*targets: Target) -> Tee:
    """Send a child's output to several places at once.

    Each is CAPTURE (memory, for the result), PIPE (a live stream), INHERIT (our own output), the path of a file to
    write anew, an open file, a descriptor, or a function that is called with the bytes as they come. Files and
    functions are served in the event loop: they should not block. Raises UsageError.
    """
    if not targets or any(target in (DISCARD, STDOUT) or isinstance(target, Tee) for target in targets):
        raise UsageError("tee() wants one or more of CAPTURE, PIPE, INHERIT, files and functions")
    if PIPE in targets and CAPTURE in targets:
        raise UsageError("an output is either read live (PIPE) or kept (CAPTURE)", hint="leave one of them out")
    return Tee(targets)


Output: TypeAlias = Target | Tee
Input: TypeAlias = "Stdio | Path | int | IO[Any] | OutputStream[Any]"
