"""``rook restart``."""

from __future__ import annotations

from rookery.cli.acting import act


def run(argv: list[str]) -> int:
    """See ``rook restart --help``."""
    return act(
        "restart",
        argv,
        about="Stop apps and start them again, as they were described when they were started.",
        examples=("rook restart web", "rook restart 3 worker", "rook restart all --wait none"),
    )
