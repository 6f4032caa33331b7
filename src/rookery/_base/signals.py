"""Signals by number."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """``SIGTERM`` for 15; ``signal 35`` where this system has no name for it."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
