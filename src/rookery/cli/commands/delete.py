"""``rook delete``."""

from __future__ import annotations

from rookery.cli.acting import act


def run(argv: list[str]) -> int:
    """See ``rook delete --help``."""
    return act(
        "delete",
        argv,
        about="Stop apps and forget them. Their log files stay.",
        examples=("rook delete web", "rook delete /^test-/", "rook delete all"),
    )
