"""After an operation: wait until it is known how it went, and say so."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery.control.messages import ActionResult
from rookery.lifecycle.hints import failed_start
from rookery.lifecycle.state import State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from rookery.apps.app import App, Begun, Instance
    from rookery.control.messages import Outcome, Wait

_log = logging.getLogger(__name__)
_UP = {"started", "restarted", "unchanged"}


class Asked(NamedTuple):
    """An operation that was asked for. chosen: the instances it is for, None for all that the app will have."""

    run: Coroutine[object, object, list[Begun]]
    app: App
    chosen: list[Instance] | None


async def gather_outcomes(
    work: Sequence[Asked],
    wait: Wait,
    timeout: float,  # noqa: ASYNC109 - it does not end the work, only the waiting
    save: Callable[[], Awaitable[None]],
    log_of: Callable[[Instance], str],
) -> ActionResult:
    """Wait for operations and for what they began, as far as the request wants and its time allows.

    save: puts the state on disk; log_of: the path to name where one failed. Raises what an operation has raised.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    running = {asyncio.ensure_future(one.run): one for one in work}
    if wait == "none" or not running:
        for unheard in running:
            unheard.add_done_callback(note)
        await asyncio.sleep(0)  # let them get into their queues
        return ActionResult(outcomes=[])
    _, late = await asyncio.wait(running, timeout=timeout)
    for unheard in late:
        unheard.add_done_callback(note)
    failed = [error for run in running if run not in late and (error := run.exception()) is not None]
    if failed:
        raise failed[0]
    outcomes = [
        still_waiting(one)
        for run in late
        for one in (running[run].app.instances if running[run].chosen is None else running[run].chosen or ())
    ]
    begun = [one for run in running if run not in late for one in run.result()]
    settling = {one: asyncio.ensure_future(settle(one, wait, log_of(one.instance))) for one in begun}
    if settling:
        await asyncio.wait(settling.values(), timeout=max(0.0, deadline - loop.time()))
    expired = bool(late)
    for one, task in settling.items():
        if task.done():
            outcomes.append(task.result())
        else:
            task.cancel()
            expired = True
            outcomes.append(still_waiting(one.instance))
    await save()
    return ActionResult(outcomes=sorted(outcomes, key=lambda one: (one.name, one.index)), expired=expired)


def note(task: asyncio.Task[Any]) -> None:
    """Log how a task went for which nobody waits, where it has failed."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("what nobody waited for has failed: %s", error)


async def settle(begun: Begun, wait: Wait, log: str) -> Outcome:
    """Wait as long as ``wait`` says; log: the path to name where it failed. No time limit of its own."""
    instance, did, crashes, reason, ended, hint = begun
    unit = instance.unit
    if did == "gone":
        outcome = instance.outcome("failed", ok=False)
        outcome.reason = "deleted by another request meanwhile"
        return outcome
    if did == "failed":
        outcome = instance.outcome(did, ok=False, log=log)
        outcome.reason, outcome.exit = reason, ended
        outcome.hint = hint
        return outcome
    if did not in _UP:
        return instance.outcome(did, ok=True)
    min_uptime = instance.app.spec.min_uptime if wait == "settled" and did != "unchanged" else 0.0
    if await unit.settled(crashes=crashes, min_uptime=min_uptime, ready=wait != "started"):
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
    is_retried = unit.state in (State.BACKOFF, State.STARTING, State.RUNNING)
    code = None if last is None or last.lifetime is None else last.status.code
    outcome.hint = failed_start(instance.app.spec.name, code, is_retried=is_retried)
    return outcome


def still_waiting(instance: Instance) -> Outcome:
    """For what had not settled when the request's time was over."""
    outcome = instance.outcome("waiting", ok=True)
    is_unready = instance.unit.state is State.RUNNING and not instance.unit.is_ready
    what = "it has not said that it is ready" if is_unready else f"still {instance.unit.state}"
    outcome.reason = f"{what} when the wait's limit passed; the work goes on"
    return outcome
