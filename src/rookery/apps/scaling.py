"""How many instances, and which."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rookery import errors
from rookery.config.system_values import cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rookery.apps.app import App, Instance
    from rookery.apps.events import Events

MOST_INSTANCES = 10_000
"""Of one app, as in a file."""
_NUMBER = re.compile(r"([+-]?)(\d{1,9})", re.ASCII)


def instances_wanted(text: str | int) -> Callable[[int], int]:
    """From the number of instances that there are to the one that is wanted.

    text: a number, ``+N``, ``-N``, ``max`` (one per CPU) or ``half``. Raises UsageError for anything else; what it
    returns raises UsageError where the result would be below 1 or above MOST_INSTANCES.
    """
    text = str(text)
    match = _NUMBER.fullmatch(text)
    if match is None and text not in ("max", "half"):
        raise errors.UsageError(f"{text!r} is no number of instances", hint="write 4, +2, -1, max or half")

    def wanted(present: int) -> int:
        if match is None:
            return cpus() if text == "max" else max(1, cpus() // 2)
        number = int(match[2])
        count = present + number if match[1] == "+" else present - number if match[1] == "-" else number
        if count < 1:
            why = f"it has {present}" if match[1] else ""
            hint = "rook stop NAME stops it, rook delete NAME forgets it"
            raise errors.UsageError("an app has one instance or more", why=why, hint=hint)
        if count > MOST_INSTANCES:
            raise errors.UsageError(f"{count} instances are too many", hint=f"{MOST_INSTANCES} at most")
        return count

    return wanted


def resized(indexes: Sequence[int], count: int) -> tuple[list[int], list[int]]:
    """Which indexes go (the highest), and which come (the lowest free), so that there are count."""
    present = sorted(indexes)
    if len(present) >= count:
        return present[count:], []
    free = (index for index in range(count + len(present)) if index not in set(present))
    return [], [index for index, _ in zip(free, range(count - len(present)), strict=False)]


async def steer_when_ready(app: App, new: Sequence[Instance], events: Events) -> None:
    """Have connections steered to each new one when it can serve, in their order; return after the last.

    One that never is ready leaves those behind it without any: only the first sockets can be meant. Cancelled: the
    rest is not steered to.
    """
    for one in new:
        while not one.unit.is_ready and one in app.instances:
            await events.changed()
        if one in app.instances:
            app.door.steer(app.edition, app.instances.index(one) + 1)
