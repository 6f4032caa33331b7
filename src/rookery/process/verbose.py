"""Saying on stderr which commands are started, and how they ended."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery.process.environment import our_value

if TYPE_CHECKING:
    from rookery.process.result import Result

VARIABLE = "ROOKERY_VERBOSE"


def is_on(asked: bool | None) -> bool:
    """asked: the option ``verbose``; None: as the environment variable says."""
    return our_value(VARIABLE, "0") not in ("", "0") if asked is None else asked


def started(number: int, shown: str) -> None:
    """A command begins; also said of one that then cannot be started."""
    _say(number, f"$ {shown}")


def failed(number: int, error: Exception) -> None:
    """It could not be started."""
    _say(number, f"✗ {error}")


def ended(number: int, result: Result[Any]) -> None:
    """It is over."""
    if result.ok:
        _say(number, f"✓ done in {_seconds(result.duration)}")
    elif result.cancelled:
        _say(number, f"✗ stopped after {_seconds(result.duration)}")
    else:
        _say(number, f"✗ {result.explain().splitlines()[0]}, after {_seconds(result.duration)}")


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _say(number: int, text: str) -> None:
    now = time.time()
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    with suppress(Exception):  # a stderr that is closed, or gone, is no reason for a command to fail
        sys.stderr.write(f"[{clock}.{int(now * 1000) % 1000:03}] [{number}] {text}\n")
        sys.stderr.flush()
