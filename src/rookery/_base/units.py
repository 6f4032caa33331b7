"""Durations and sizes as people write them.

A duration without a unit is seconds, a size without a unit is bytes. Sizes are powers of 1024 (300M = 300 MiB),
as PM2, Docker and the JVM read them.
"""

from __future__ import annotations

import math
import re

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE_UNITS = {"": 1, "B": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d)\s*)+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
# ASCII: the Kelvin sign is a K to a pattern that ignores case, and to nobody else.
_SIZE = re.compile(r"(\d+)(\.\d+)?\s*([KMGT]?)(?:I?B)?", re.IGNORECASE | re.ASCII)


def parse_duration(value: str | float) -> float:
    """Seconds from ``10``, ``0.5``, ``"100ms"``, ``"1m30s"``.

    Raises ValueError, with the units it knows, for anything else, for negative and for endless values.
    """
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and _DURATION.fullmatch(text):
        seconds = sum(float(part[1]) * _DURATION_UNITS[part[2]] for part in _DURATION_PART.finditer(text))
    else:
        try:
            if isinstance(value, bool):
                raise TypeError
            seconds = float(text)
        except (ValueError, TypeError):
            raise ValueError(f"{value!r} is not a duration; write 10, '500ms', '10s', '5m', '1h' or '1d'") from None
        except OverflowError:
            raise ValueError("a duration is not a huge number; write 10, '500ms', '10s', '5m', '1h' or '1d'") from None
    if seconds < 0 or not math.isfinite(seconds):
        raise ValueError(f"{value!r} is not a duration: it must be zero or more, and finite")
    return seconds


def parse_size(value: str | int) -> int:
    """Bytes from ``1048576``, ``"300M"``, ``"1.5G"``, ``"64 KiB"``.

    Raises ValueError, with the units it knows, for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is not a size; write 1048576, '64K', '300M' or '1.5G'")  # noqa: TRY004
    if isinstance(value, int):
        if value < 0:
            raise ValueError(f"{value!r} is not a size: it must be zero or more")
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not a size; write 1048576, '64K', '300M' or '1.5G'")
    unit = _SIZE_UNITS[match[3].upper()]
    return int(match[1]) * unit + int(float(match[2] or 0) * unit)


def format_duration(seconds: float) -> str:
    """A duration for people: ``300ms``, ``1.5s``, ``42s``, ``5m``, ``3h``, ``2d`` (two parts where they help)."""
    if seconds < 0.9995:
        return f"{max(0, round(seconds * 1000))}ms"
    if seconds < 60:
        tenths = round(seconds, 1)
        return f"{tenths:.1f}s" if tenths < 10 and tenths % 1 else f"{int(tenths)}s"
    whole = int(seconds)
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes}m{rest}s" if minutes < 10 and rest else f"{minutes}m"
    if whole < 86400:
        hours, rest = divmod(whole // 60, 60)
        return f"{hours}h{rest}m" if hours < 10 and rest else f"{hours}h"
    days, rest = divmod(whole // 3600, 24)
    return f"{days}d{rest}h" if days < 10 and rest else f"{days}d"


def format_size(size: float) -> str:
    """A size for people: ``512B``, ``1.5K``, ``48.2M``."""
    for unit in ("B", "K", "M", "G"):
        if size < 1024:
            return f"{int(size)}B" if unit == "B" else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.1f}T"
