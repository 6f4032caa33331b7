"""What the site module would have made importable: editable installs have finders of their own.

Fork-servers start without it, which saves half of their start; it is run once, where something is not found.
"""

from __future__ import annotations

import importlib
import site
import sys

_was_run = not sys.flags.no_site


def add_words() -> None:
    """The words that programs expect to be there: exit, quit and help."""
    site.setquit()
    site.sethelper()


def importable_again() -> bool:
    """Run the site module unless that was done; whether an import that found no module is worth another try."""
    global _was_run  # noqa: PLW0603 - once for each process, which has one sys.path
    if _was_run:
        return False
    _was_run = True
    before = list(sys.path)
    site.main()
    # The parent's order counts; what is new comes behind it.
    sys.path[:] = [*before, *(entry for entry in sys.path if entry not in before)]
    importlib.invalidate_caches()
    return True
