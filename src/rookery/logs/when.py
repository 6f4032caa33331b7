"""Points in time as people write them."""

from __future__ import annotations

import datetime as dt
import re

from rookery._base.units import parse_duration

ALLOWED = (
    "write how long ago (10m, 2h30m), a date or time (2030-12-31, '2030-12-31 23:59:59', with Z or +01:00, 23:59), "
    "now, today, yesterday, or @SECONDS since 1970"
)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}.*", re.ASCII)
_DAYS_BACK = {"today": 0, "yesterday": 1}


def parse_when(text: str, now: float) -> float:
    """Seconds since 1970 from words such as ``10m`` (ago), ``09:30`` (today), ``2030-12-31T23:59:59Z``, ``today``.

    now: seconds since 1970. Times without a zone are local. Raises ValueError, with all that it knows, for others.
    """
    word = text.strip()
    try:
        if word.startswith("@"):
            return dt.datetime.fromtimestamp(float(word[1:]), dt.UTC).timestamp()
        if word == "now":
            return now
        if word in _DAYS_BACK or (clock := _CLOCK.fullmatch(word)):
            # The calendar's day, not 24 hours: days of 23 and 25 hours begin at midnight too.
            day = dt.datetime.fromtimestamp(now).date()  # noqa: DTZ006 - local on purpose
            if word in _DAYS_BACK:
                day -= dt.timedelta(days=_DAYS_BACK[word])
                return _local(dt.datetime.combine(day, dt.time()))
            assert clock is not None
            hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
            micros = int((clock[4] or "0").ljust(6, "0"))
            return _local(dt.datetime.combine(day, dt.time(hour, minute, second, micros)))
        if _DATE.fullmatch(word):
            return _local(dt.datetime.fromisoformat(word))
        return now - parse_duration(word.removeprefix("-").removesuffix(" ago"))
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is no time; {ALLOWED}") from None


def _local(moment: dt.datetime) -> float:
    return moment.timestamp()  # one without a zone is taken for local
