"""Waiting for apps to be as somebody wants them, without doing anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rookery.control.messages import ActionResult
from rookery.lifecycle.state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.apps.app import Instance
    from rookery.apps.events import Events
    from rookery.control.messages import Until


async def wait_for(
    events: Events,
    chosen: Sequence[Instance],
    until: Until,
    timeout: float,  # noqa: ASYNC109 - an expired wait is an answer, not an error
) -> ActionResult:
    """Return when all of them are so, when one of them never will be (fatal, deleted), or after timeout seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        waiting = [one for one in chosen if not is_so(one, until)]
        lost = [one for one in waiting if _is_lost(one)]
        left = deadline - loop.time()
        if not waiting or lost or left <= 0:
            break
        settling = [one for one in waiting if until == "settled" and not one.copy.awaits_ready]
        pauses = [left, *(_to_settle(one) for one in settling)]
        try:
            await asyncio.wait_for(events.changed(), min(pauses))
        except TimeoutError:
            continue
    result = ActionResult(outcomes=[], expired=bool(waiting) and not lost)
    for one in chosen:
        if one in lost:
            outcome = one.outcome("failed", ok=False)
            outcome.reason = "deleted by another request meanwhile" if _is_deleted(one) else one.unit.reason
        else:
            outcome = one.outcome("waiting" if one in waiting else until, ok=True)
            outcome.reason = f"it is {one.unit.state}" if one in waiting else _how(one)
        result.outcomes.append(outcome)
    return result


def is_so(one: Instance, until: Until) -> bool:
    """Whether it is as wanted now."""
    unit = one.unit
    if until == "ready":
        return unit.is_ready
    if until == "running":
        return unit.state is State.RUNNING
    if until == "stopped":
        return unit.state in (State.STOPPED, State.EXITED)
    if until == "exited":
        return unit.state is State.EXITED
    return unit.is_ready and (one.copy.awaits_ready or _to_settle(one) <= 0)


def _how(one: Instance) -> str:
    """How it came to be at rest; "" where it is up."""
    return one.unit.reason if one.unit.pid is None else ""


def _to_settle(one: Instance) -> float:
    """Seconds until it has been up for its min_uptime; a day while it is down: then something happens before."""
    uptime = one.unit.uptime
    return 86400.0 if uptime is None else one.app.spec.min_uptime - uptime


def _is_lost(one: Instance) -> bool:
    return one.unit.state is State.FATAL or _is_deleted(one)


def _is_deleted(one: Instance) -> bool:
    return one not in one.app.instances
