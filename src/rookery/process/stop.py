"""Carrying out a stop plan: the one way in which processes are ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from rookery.errors import StopFailed

if TYPE_CHECKING:
    from rookery._base.clock import Clock
    from rookery.lifecycle.stop import Step, StopPlan
    from rookery.process.protocols import Handle, Tree

_FIRST_LOOK = 0.005
_LAST_LOOK = 0.1
_ROUNDS = 20


async def stop(handle: Handle, tree: Tree, plan: StopPlan, clock: Clock) -> bool:
    """End a process and everything of its tree; return whether SIGKILL was needed.

    Returns when nothing of it is left. Raises StopFailed where something outlives SIGKILL (it hangs in the kernel).
    Cancelled, it kills the tree at once and goes.
    """
    forced = False
    try:
        for step in plan.steps():
            await _signal(step, handle, tree)
            left = await _wait_gone(handle, tree, clock, step)
            if not left:
                return forced
            forced = True
    except asyncio.CancelledError:
        for member in tree.members():
            _try(tree, member, 9)
        raise
    raise StopFailed([pid for pid, _ in left], plan.steps()[-1].wait)


async def sweep(tree: Tree, clock: Clock) -> list[int]:
    """Kill what a leader that went by itself left behind; return the pids. It may go on forking: look again."""
    killed: list[int] = []
    pause = _FIRST_LOOK
    for _ in range(_ROUNDS):
        members = tree.members()
        if not members:
            break
        for member in members:
            if _try(tree, member, 9) and member[0] not in killed:
                killed.append(member[0])
        await clock.sleep(pause)
        pause = min(pause * 2, _LAST_LOOK)
    return killed


async def _signal(step: Step, handle: Handle, tree: Tree) -> None:
    if step.to == "leader":
        handle.signal(step.signal)
        return
    # The leader first: it may end its children in its own order.
    handle.signal(step.signal)
    for member in tree.members():
        if member != (handle.pid, handle.start_time):
            _try(tree, member, step.signal)


def _try(tree: Tree, member: tuple[int, int], number: int) -> bool:
    with suppress(PermissionError):  # a setuid program of theirs: not ours to end, the kernel says
        return tree.signal(member, number)
    return False


async def _wait_gone(handle: Handle, tree: Tree, clock: Clock, step: Step) -> list[tuple[int, int]]:
    """Wait up to the step's time; return who is left. The leader's end wakes us, others are looked for."""
    deadline = clock.monotonic() + step.wait
    leader = asyncio.ensure_future(handle.wait())
    pause = _FIRST_LOOK
    try:
        while True:
            remaining = deadline - clock.monotonic()
            if leader.done():
                left = tree.members()
                if not left or step.to == "leader" or remaining <= 0:
                    return left
                if step.signal == 9:  # what was forked while we killed
                    for member in left:
                        _try(tree, member, 9)
                await clock.sleep(min(pause, remaining))
                pause = min(pause * 2, _LAST_LOOK)
            elif remaining <= 0:
                return tree.members() or [(handle.pid, handle.start_time)]
            else:
                timer = asyncio.ensure_future(clock.sleep(remaining))
                try:
                    await asyncio.wait({leader, timer}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    timer.cancel()
    finally:
        leader.cancel()
