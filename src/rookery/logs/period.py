"""Until when a log file may be written to, where it is rotated by the clock."""

from __future__ import annotations

import math
import time

PERIODS = ("never", "hourly", "daily", "weekly")
_HOUR = 3600


def period_end(kind: str, at: float) -> float:
    """The end of the period that holds the wall time ``at``; infinity for "never".

    Hours, days and weeks (from Monday) of the local time: a day with a clock change has 23 or 25 hours.
    """
    if kind == "never":
        return math.inf
    local = time.localtime(at)
    if kind == "hourly":
        into = local.tm_min * 60 + local.tm_sec
        return math.floor(at) - into + _HOUR
    days = 1 if kind == "daily" else 7 - local.tm_wday
    return time.mktime((local.tm_year, local.tm_mon, local.tm_mday + days, 0, 0, 0, 0, 0, -1))
