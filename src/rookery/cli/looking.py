"""What commands share that only look at apps. On the hot path."""

from __future__ import annotations

import os

from rookery.cli.selecting import check_named
from rookery.control import places
from rookery.control.launch import reading_client
from rookery.errors import NothingMatched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.control.client import Client


def looking_client(words: Sequence[str] = ()) -> Client | None:
    """A client for the manager of the caller's home; None where none runs and none should.

    words: the selectors as they were typed. Raises NothingMatched where there are some and no manager runs.
    """
    home = places.home(os.environ)
    client = reading_client(home)
    if client is None and words:
        raise _nothing(words, home)
    return client


def naming_client(command: str, words: Sequence[str]) -> Client:
    """The same for a command that wants selectors. Raises UsageError where there are none, NothingMatched."""
    check_named(command, words)
    client = looking_client(words)
    if client is None:
        raise _nothing(words, places.home(os.environ))
    return client


def _nothing(words: Sequence[str], home: str) -> NothingMatched:
    return NothingMatched(f"nothing matches {' '.join(words)}", why=f"no manager runs for {home}")
