"""The text of a new rook.toml, with comments on what one may want to change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.config.discover import Candidate

_HEAD = """\
# What rook keeps running here.
#   rook check    is everything right?      rook start    start it; again after an edit: what differs
#   rook diff     what would change?        rook list     what runs
# All keys: rook help config
"""
_DEFAULTS = """
# [defaults]                     # settings under every app
# restart = "on-failure"         # always (the default), on-failure, never
# graceful_timeout = "10s"       # from SIGTERM to SIGKILL
# logs = { max_size = "10M", keep = 7 }
"""
_MORE = """\
# instances = 2                  # or "max": one per CPU
# env = { LOG_LEVEL = "info" }
# env_file = ".env"
# max_restarts = { count = 10, window = "1m" }   # then give up
"""
_PROFILE = """
# [apps.{name}.env_profiles.production]          # rook start rook.toml --env production
# LOG_LEVEL = "warning"
"""


def rook_toml(apps: Sequence[Candidate]) -> str:
    """The file for these apps, at least one; the first shows what else there is."""
    parts = [_HEAD, _DEFAULTS]
    for place, app in enumerate(apps):
        lines = ["", f"[apps.{_key(app.name)}]".ljust(32) + f" # found by {app.why}"]
        if app.note:
            lines.append(f"# {app.note}")
        lines += [f"{key} = {toml_value(value)}" for key, value in app.keys.items()]
        parts.append("\n".join(lines) + "\n")
        if place == 0:
            parts += [_MORE, _PROFILE.format(name=_key(app.name))]
    return "".join(parts)


def toml_value(value: Any) -> str:
    """A text, or a list of texts, as TOML."""
    if isinstance(value, list):
        return f"[{', '.join(toml_value(one) for one in value)}]"
    # A JSON string is a TOML string but for DEL, which TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else toml_value(name)
