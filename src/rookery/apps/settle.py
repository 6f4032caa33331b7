"""After an operation: wait until it is known how it went, and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rookery.lifecycle.state import State

if TYPE_CHECKING:
    from rookery.apps.app import Begun
    from rookery.control.messages import Outcome, Wait

_UP = {"started", "restarted", "unchanged"}


async def settle(begun: Begun, wait: Wait, log: str) -> Outcome:
    """Wait as long as ``wait`` says; log: the path to name where it failed. No time limit of its own."""
    instance, did, crashes = begun
    unit = instance.unit
    if did not in _UP:
        return instance.outcome(did, ok=True)
    min_uptime = instance.app.spec.min_uptime if wait == "settled" and did != "unchanged" else 0.0
    if await unit.settled(crashes=crashes, min_uptime=min_uptime):
        return instance.outcome(did, ok=True)
    last = unit.last_exit
    if unit.state is State.EXITED and last is not None and last.status.code in instance.app.spec.ok_exit_codes:
        return instance.outcome(did, ok=True)
    outcome = instance.outcome("failed", ok=False, log=log)
    outcome.exit = instance.row().exit
    if unit.state is State.STOPPED:
        outcome.did, outcome.reason = "stopped", "stopped by another request meanwhile"
    elif last is not None:
        outcome.reason = unit.reason if unit.state is State.FATAL else last.reason
        if last.status.code == 0 and last.lifetime is not None:
            outcome.reason += "; restart = always starts it again and again (for a job: --restart on-failure)"
    return outcome


def still_waiting(begun: Begun, log: str) -> Outcome:
    """For what had not settled when the request's time was over."""
    outcome = begun.instance.outcome("waiting", ok=False, log=log)
    outcome.reason = f"still {begun.instance.unit.state} when the wait's limit passed; the work goes on"
    return outcome
