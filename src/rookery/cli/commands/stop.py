"""``rook stop``."""

from __future__ import annotations

from rookery.cli.acting import act


def run(argv: list[str]) -> int:
    """See ``rook stop --help``."""
    return act(
        "stop",
        argv,
        about="Stop apps. They stay known and are not restarted until they are started again.",
        examples=("rook stop web", "rook stop web:0 worker", "rook stop all --timeout 1m"),
    )
