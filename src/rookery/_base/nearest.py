"""The nearest right word for a wrong one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], *, most: int = 1) -> list[str]:
    """Up to ``most`` known words that look like ``word``, best first; empty where none does."""
    import difflib  # noqa: PLC0415 - 4 ms, needed only on the way to an error message

    folded = {name.lower().replace("-", "_"): name for name in known}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), folded, n=most, cutoff=0.6)
    return [folded[name] for name in found]
