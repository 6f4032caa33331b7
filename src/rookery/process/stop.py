"""Carrying out a stop plan: the one way in which processes are ended.

Others fork while we look, so nobody is ever taken to be gone because he was signalled: we look again until a look
finds nothing. Who runs away from his parents is found by the marks of the tree, or because an earlier look saw him.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rookery.errors import StopFailed
from rookery.lifecycle.stop import SIGKILL
from rookery.process.kill import ROUNDS, kill_now, members_of, try_signal

if TYPE_CHECKING:
    from rookery._base.clock import Clock
    from rookery.lifecycle.stop import Step, StopPlan
    from rookery.process.protocols import Handle, Tree

    Member = tuple[int, int]

__all__ = ["is_gone", "kill_now", "stop", "sweep"]

_FIRST_LOOK = 0.005
_LAST_LOOK = 0.1


async def stop(handle: Handle, tree: Tree, plan: StopPlan, clock: Clock) -> bool:
    """End a process and everything of its tree; return whether SIGKILL was needed.

    Returns when nothing of it is left. Raises StopFailed where something outlives SIGKILL (it hangs in the kernel, or
    the kernel forbids us to touch it). Cancelled, it leaves what is left to the caller: see kill_now.
    """
    forced = False
    left: list[Member] = []
    for step in plan.steps():
        told = _signal(step, handle, tree)
        left = await _wait_gone(step, handle, tree, clock, told)
        if not left:
            return forced
        forced = True
    raise StopFailed([pid for pid, _ in left], plan.steps()[-1].wait)


async def sweep(tree: Tree, clock: Clock) -> list[int]:
    """Kill what a leader that went by itself left behind; return the pids. It may go on forking: look again."""
    killed: list[int] = []
    pause = _FIRST_LOOK
    for _ in range(ROUNDS):
        members = members_of(tree)
        if members is not None and not members:
            break
        for member in members or ():
            if try_signal(tree, member, SIGKILL) and member[0] not in killed:
                killed.append(member[0])
        await clock.sleep(pause)
        pause = min(pause * 2, _LAST_LOOK)
    return killed


def is_gone(tree: Tree) -> bool:
    """Whether nothing of the tree is left."""
    return members_of(tree) == []


def _signal(step: Step, handle: Handle, tree: Tree) -> set[Member]:
    """Tell everybody whom the step is for; who was told."""
    # Looked for before the leader hears of it: when he is gone his children are no longer his.
    members = members_of(tree) or []
    # The leader first: he may end his children in his own order.
    _try_leader(handle, step.signal)
    if step.to == "tree":
        for member in members:
            if member != (handle.pid, handle.start_time):
                try_signal(tree, member, step.signal)
    return {(handle.pid, handle.start_time), *members}


def _try_leader(handle: Handle, number: int) -> None:
    try:
        handle.signal(number)
    except OSError:
        return


async def _wait_gone(step: Step, handle: Handle, tree: Tree, clock: Clock, told: set[Member]) -> list[Member]:
    """Wait up to the step's time; return who is left. The leader's end wakes us, others are looked for."""
    deadline = clock.monotonic() + step.wait
    leader = asyncio.ensure_future(handle.wait())
    identity = (handle.pid, handle.start_time)
    pause = _FIRST_LOOK
    try:
        while True:
            remaining = deadline - clock.monotonic()
            if leader.done():
                left = members_of(tree)
                if left is not None and (not left or step.to == "leader"):
                    return left
                if remaining <= 0:
                    return left or [identity]
                for member in left or ():  # what was forked while we told them
                    if step.signal == SIGKILL or member not in told:
                        try_signal(tree, member, step.signal)
                told.update(left or ())
                await clock.sleep(min(pause, remaining))
                pause = min(pause * 2, _LAST_LOOK)
            elif remaining <= 0:
                return members_of(tree) or [identity]
            else:
                timer = asyncio.ensure_future(clock.sleep(remaining))
                try:
                    await asyncio.wait({leader, timer}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    timer.cancel()
    finally:
        leader.cancel()
