"""Log settings that exclude each other; the same for files, options and the API."""

from __future__ import annotations

from rookery.config.report import BadValue
from rookery.config.spec import LogSpec
from rookery.config.values import timestamps

_NOT_DIRECT = ("timestamps", "prefix", "json", "combined", "rotate", "compress", "on_full")
_LEAST_TO_COMPRESS = 2
_DEFAULTS = LogSpec()


def check_logs(logs: LogSpec) -> None:
    """Raises BadValue (its path begins with "logs") for settings that cannot go together, and for a bad pattern."""
    try:
        timestamps(logs.timestamps)
    except BadValue as bad:
        raise BadValue(bad.problem, hint=bad.hint, path=("logs", "timestamps")) from None
    if logs.prefix and logs.json:
        raise _bad("prefix", "a prefix makes no JSON", "leave prefix out: app and instance are fields of each object")
    if logs.via == "direct":
        for key in _NOT_DIRECT:
            if getattr(logs, key) != getattr(_DEFAULTS, key):
                raise _bad(key, 'does not go with via = "direct"', "the app writes the file itself: leave one out")
    if logs.compress and logs.keep < _LEAST_TO_COMPRESS:
        hint = "the first rotated file stays as it is: set keep to 2 or more"
        raise _bad("compress", f"there is nothing to compress with keep = {logs.keep}", hint)


def _bad(key: str, problem: str, hint: str) -> BadValue:
    return BadValue(problem, hint=hint, path=("logs", key))
