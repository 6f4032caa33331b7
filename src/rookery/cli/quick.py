"""Options without argparse, for commands that are to feel instant."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def quick(argv: Sequence[str], flags: Sequence[str]) -> tuple[list[str], set[str]] | None:
    """Words and given flags; None where there is anything else (``--help``, a wrong option): argparse's work."""
    words: list[str] = []
    given: set[str] = set()
    for word in argv:
        if word in flags:
            given.add(word)
        elif word.startswith("-"):
            return None
        else:
            words.append(word)
    return words, given
