"""Talk about apps that do not do what their owner may believe. On the hot path: says nothing in most cases."""

from __future__ import annotations

from rookery.cli.output import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TRYING = ("starting", "running", "backoff")


def say_hints(rows: list[dict[str, Any]]) -> None:
    """Tell on stderr of apps (InstanceRows) which are started again and again although they end well each time."""
    repeating = [row for row in rows if row["state"] in _TRYING and (row["exit"] or {}).get("repeats", 0) > 1]
    if not repeating:
        return
    from rookery.lifecycle.hints import ends_well_again

    hints = {
        row["name"]: ends_well_again(row["name"], row["exit"]["code"], row["exit"]["repeats"]) for row in repeating
    }
    for hint in filter(None, hints.values()):
        say(f"hint: {hint}")
