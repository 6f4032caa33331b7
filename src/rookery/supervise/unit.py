"""Unit: one slot that is to be filled by one running process.

start/stop/restart ──► one operation at a time ──► lifecycle table ──► Spawner, stop plan
                                  ▲
exit of the process ── watcher ───┤   decide(): again after a delay, leave it, or give up
delay over ───────────────────────┘
"""

from __future__ import annotations

import asyncio
import logging
import os
import random as random_module
from typing import TYPE_CHECKING

from rookery import errors
from rookery._base.clock import Clock, SystemClock
from rookery._base.ids import COOKIE, Cookie
from rookery.lifecycle.exit import ExitStatus
from rookery.lifecycle.restart import Decision, RestartHistory, RestartPolicy, decide, decide_failed_start
from rookery.lifecycle.state import Event, State, next_state
from rookery.lifecycle.stop import SIGKILL, StopPlan
from rookery.process.stop import is_gone, kill_now, sweep
from rookery.process.stop import stop as stop_process
from rookery.supervise.changes import Changes, settled
from rookery.supervise.record import LastExit, UnitEvent
from rookery.supervise.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.process.protocols import Handle, Spawner, Tree
    from rookery.supervise.plumbing import Plumbing

_log = logging.getLogger(__name__)


class Unit:
    """Keeps one process as it is wanted.

    key: its name towards the spawner (no colon); scope: eight hexadecimal digits of whoever owns it; policy: when to
    start again; stop_plan: how to end it; on_event: called with each transition, in order, and must not raise;
    next_generation: where several units of one key are to have different ones.
    Use it from one event loop. Operations run one after the other in the order they were asked for, and go on when
    the task that asked is cancelled.
    """

    def __init__(
        self,
        key: str,
        plumbing: Plumbing,
        spawner: Spawner,
        *,
        scope: str,
        policy: RestartPolicy | None = None,
        stop_plan: StopPlan | None = None,
        clock: Clock | None = None,
        on_event: Callable[[UnitEvent], None] | None = None,
        random: Callable[[], float] = random_module.random,
        awaits_ready: Callable[[], bool] = lambda: False,
        next_generation: Callable[[], int] | None = None,
    ) -> None:
        self.key = key
        self.policy = policy or RestartPolicy()
        self.stop_plan = stop_plan or StopPlan()
        self.state = State.STOPPED
        self.generation = 0
        self.restarts = 0
        self.crashes = 0
        """Unasked exits; a waiter compares it to know whether what it waits for fell over meanwhile."""
        self.last_exit: LastExit | None = None
        self.reason = ""
        self.since = 0.0
        self.next_start: float | None = None
        self._plumbing = plumbing
        self._spawner = spawner
        self._scope = scope
        self._clock = clock or SystemClock()
        self._on_event = on_event
        self._random = random
        self._awaits_ready = awaits_ready
        self._next_generation = next_generation or (lambda: self.generation + 1)
        self._said_ready = False
        self._history = RestartHistory()
        self._handle: Handle | None = None
        self._started = 0.0
        self._turns = Turns(key)
        self._changes = Changes(self._clock)
        self._delay: asyncio.Task[None] | None = None
        self._is_ending = False
        self.since = self._clock.wall()

    # -- what it is -----------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """The process id while there is a process."""
        return None if self._handle is None else self._handle.pid

    @property
    def start_time(self) -> int | None:
        """In ticks since boot; names the process together with its pid."""
        return None if self._handle is None else self._handle.start_time

    @property
    def is_ready(self) -> bool:
        """Whether it can do its work: it runs, and where it is to say so, it has."""
        return self.state is State.RUNNING and (self._said_ready or not self._awaits_ready())

    @property
    def uptime(self) -> float | None:
        """Seconds since its start while it runs."""
        return self._clock.monotonic() - self._started if self.state is State.RUNNING else None

    @property
    def cookie(self) -> str:
        """The cookie of the present generation."""
        return self.cookie_of(self.generation)

    def cookie_of(self, generation: int) -> str:
        """The cookie of any generation."""
        return str(Cookie(self._scope, self.key, generation))

    @property
    def tree(self) -> Tree | None:
        """Its process with all that belongs to it, while there is one."""
        return None if self._handle is None else self._tree(self._handle)

    # -- what can be asked of it ------------------------------------------------------------------------------------

    async def start(self) -> bool:
        """Start it unless it runs; return whether it was started. Forgets earlier failures.

        A failed start leaves it FATAL (see ``reason``); nothing is raised for it. Raises LinkError where whoever
        starts processes cannot be reached (FATAL too), StopFailed where an earlier copy will not go, UsageError after
        close().
        """
        return await self._turns.take(self._start)

    async def stop(self) -> bool:
        """Stop it and everything of its tree; return whether SIGKILL was needed.

        Raises StopFailed; it is STOPPING then until the process goes after all, or another stop() succeeds.
        """
        return await self._turns.take(self._stop)

    async def restart(self) -> None:
        """Stop it where it runs, then start it, with no other operation between. Raises StopFailed."""

        async def both() -> None:
            was_up = self.state in (State.STARTING, State.RUNNING, State.BACKOFF)
            await self._stop()
            await self._start()
            self.restarts += was_up

        await self._turns.take(both)

    def adopt(self, handle: Handle, generation: int, *, uptime: float, is_ready: bool = False) -> None:
        """Take over a process that runs already (or has just ended).

        uptime: seconds it has been running; is_ready: whether it has said so before.
        """
        self._said_ready = self._said_ready or is_ready
        self.generation = generation
        self._handle = handle
        self._started = self._clock.monotonic() - uptime
        self._move(Event.ADOPTED, f"found running with pid {handle.pid}")
        self.since = self._clock.wall() - uptime
        self._watch(handle)

    def resume_backoff(self, reason: str) -> None:
        """Go on where an earlier owner left off: it is to run, no process of it is left, nobody saw how it ended."""
        self._move(Event.START, reason)
        self._after(Decision("restart", reason, self.policy.restart_delay), Event.FAILED_RETRY)

    def mark_ready(self) -> None:
        """The present copy says that it can do its work; of consequence where that is awaited."""
        if not self._said_ready:
            self._said_ready = True
            self._changes.tell()

    def recall(self, state: State, reason: str, failures: int = 0) -> None:
        """Be as an earlier owner left it: at rest (stopped, exited, fatal), with what its policy remembers."""
        self._history.failures = failures
        if state in (State.EXITED, State.FATAL):
            self.state, self.reason = state, reason

    def forget(self) -> None:
        """Set what is counted to zero: restarts, and failures in a row."""
        self.restarts = 0
        self._history.reset()

    @property
    def failures(self) -> int:
        """Failures in a row, as the restart policy counts them."""
        return self._history.failures

    async def settled(self, *, crashes: int, min_uptime: float, ready: bool = True) -> bool:
        """Wait until it has been up for min_uptime seconds, or is down; return whether it is up.

        ready: where it is to say that it is ready, wait for that instead of min_uptime.
        crashes: the count before the operation, so that a fall in between is not missed. No limit of its own: cancel
        it or put a time limit around it.
        """

        def says_ready() -> bool:  # asked each time: the app may be described anew meanwhile
            return ready and self._awaits_ready()

        return await settled(self, self._changes, crashes=crashes, min_uptime=min_uptime, says_ready=says_ready)

    async def close(self) -> None:
        """Drop all timers and watchers without touching the process; the unit cannot be used afterwards.

        An operation that is going on is given up where it is, a stop between its signals too.
        """
        self._is_ending = True
        delay = self._delay
        self._cancel_delay()
        await self._turns.close()
        await asyncio.gather(*([delay] if delay else []), return_exceptions=True)

    async def end(self) -> None:
        """Stop and close; whoever waits to start it gets UsageError. Raises StopFailed after having closed."""
        self._is_ending = True
        try:
            await self.stop()
        finally:
            await self.close()

    async def kill(self) -> None:
        """SIGKILL to everything of it, without waiting for a turn; for whoever has no time left. No more starts.

        Returns when nothing of it is left and all is reaped. Raises StopFailed.
        """
        self._is_ending = True
        if self._handle is not None:
            plan = StopPlan(signal=SIGKILL)
            await stop_process(self._handle, self._tree(self._handle), plan, self._clock)

    # -- operations; all of them run holding the turn ---------------------------------------------------------------

    def _check_startable(self) -> None:
        if self._is_ending:
            raise errors.UsageError(f"{self.key!r} has been closed")

    async def _start(self) -> bool:
        self._check_startable()
        if self.state is State.RUNNING:
            return False
        if self.state is State.STOPPING:  # what an earlier stop did not get down must go before the next copy comes
            await self._stop()
        self._cancel_delay()
        self._history.reset()
        self._move(Event.START, "asked to start")
        await self._launch(manual=True)
        return True

    async def _launch(self, *, manual: bool) -> None:
        self.generation = self._next_generation()
        self._said_ready = False
        try:
            spec = await self._plumbing.prepare(self.generation)
            env = {**(os.environ if spec.env is None else spec.env), COOKIE: self.cookie}
            self._handle = await self._spawner.spawn(spec._replace(env=env), self.key, self.generation)
        except Exception as error:
            await self._finish()
            self._not_started(error, manual=manual)
            if isinstance(error, errors.SpawnError):
                return
            if manual:  # the link to whoever starts processes broke
                raise
            _log.warning("%s could not be started", self.key, exc_info=error)
            return
        self._started = self._clock.monotonic()
        self._move(Event.SPAWNED, f"started with pid {self._handle.pid}")
        self._watch(self._handle)

    def _not_started(self, error: Exception, *, manual: bool) -> None:
        self.last_exit = LastExit(ExitStatus(), str(error), self._clock.wall(), lifetime=0.0)
        self.crashes += 1
        # What a person has just asked for and cannot be is said at once. A program that ran before and is missing now
        # may be in the middle of a deployment: that is tried again, as is a system short of resources or a lost link.
        if manual and not isinstance(error, errors.ResourcesExhausted):
            self._move(Event.GIVE_UP, str(error))
            return
        decision = decide_failed_start(
            self.policy, self._history, str(error), now=self._clock.monotonic(), random=self._random
        )
        self._after(decision, Event.FAILED_RETRY)

    async def _stop(self) -> bool:
        self._cancel_delay()
        if self.state is State.STOPPED:
            return False
        if self.state is not State.STOPPING:  # where an earlier stop has failed it is; try again
            self._move(Event.STOP, "asked to stop")
        forced = False
        if self.state is State.STOPPING and self._handle is not None:
            handle = self._handle
            tree = self._tree(handle)
            try:
                forced = await stop_process(handle, tree, self.stop_plan, self._clock)
            except asyncio.CancelledError:
                if not self._turns.is_closed:  # the loop is being torn down
                    kill_now(tree)
                raise
            await self._gone(await handle.wait(), forced=forced)
        return forced

    async def _gone(self, status: ExitStatus, *, forced: bool) -> None:
        reason = f"stopped: {status}" + (", it had to be killed" if forced else "")
        await self._put_away(status, reason, self._clock.monotonic() - self._started)
        self._move(Event.GONE, reason)

    async def _put_away(self, status: ExitStatus, reason: str, lifetime: float) -> None:
        """Take the output to its end, write down how it ended, let go of it."""
        stderr = await self._finish()
        self.last_exit = LastExit(status, reason, self._clock.wall(), lifetime, stderr)
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    async def _finish(self) -> tuple[str, ...]:
        try:
            return await self._plumbing.finish(self.generation)
        except Exception as error:  # its last words are lost, but not that it has ended
            _log.warning("%s: the output of copy %d was not put away: %s", self.key, self.generation, error)
            return ()

    def _tree(self, handle: Handle) -> Tree:
        return self._spawner.tree(handle, self.cookie)

    # -- what happens by itself -------------------------------------------------------------------------------------

    def _watch(self, handle: Handle) -> None:
        async def ended() -> None:
            status = await handle.wait()
            lifetime = self._clock.monotonic() - self._started
            async with self._turns.lock:
                if self._handle is not handle:
                    return
                if self.state is State.RUNNING:
                    await self._fell(handle, status, lifetime)
                elif self.state is State.STOPPING and is_gone(self._tree(handle)):
                    await self._gone(status, forced=True)  # it outlived a stop that failed, and has gone now

        self._turns.keep(ended())

    async def _fell(self, handle: Handle, status: ExitStatus, lifetime: float) -> None:
        # What it left behind would hold its port against the next copy.
        left = await sweep(self._tree(handle), self._clock)
        await self._put_away(status, str(status) + (f", left {len(left)} behind" if left else ""), lifetime)
        self.crashes += 1
        now = self._clock.monotonic()
        decision = decide(self.policy, self._history, status, lifetime=lifetime, now=now, random=self._random)
        self._after(decision, Event.EXITED_RETRY)

    def _after(self, decision: Decision, retry: Event) -> None:
        if decision.action == "exited":
            self._move(Event.EXITED_DONE, decision.why)
        elif decision.action == "fatal":
            self._move(Event.GIVE_UP, decision.why)
        else:
            self.next_start = self._clock.monotonic() + decision.delay
            self._move(retry, decision.why)
            self._delay = asyncio.ensure_future(self._again(decision.delay))

    async def _again(self, delay: float) -> None:
        await self._clock.sleep(delay)
        mine = asyncio.current_task()
        await self._turns.take(lambda: self._delay_over(mine))

    async def _delay_over(self, delay: asyncio.Task[None] | None) -> None:
        # A start or a stop may have had its turn first, and the next delay may have begun.
        if self.state is State.BACKOFF and self._delay is delay and not self._is_ending:
            self._delay = None
            self.restarts += 1
            self._move(Event.DELAY_OVER, "starting again")
            await self._launch(manual=False)

    def _cancel_delay(self) -> None:
        if self._delay is not None:
            self._delay.cancel()
            self._delay = None

    def _move(self, event: Event, reason: str) -> None:
        before, self.state = self.state, next_state(self.state, event)
        self.reason = reason
        self.since = self._clock.wall()
        if self.state is not State.BACKOFF:
            self.next_start = None
        self._changes.tell()
        if self._on_event is not None:
            self._on_event(UnitEvent(self.key, before, self.state, event, reason, self.since))
