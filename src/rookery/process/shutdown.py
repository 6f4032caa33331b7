"""Leaving in order: stop accepting, drain, close, exit; within a limit, also after a crash."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import queue
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery._os import kernel
from rookery.lifecycle.stop import GRACE_SHUTDOWN
from rookery.process import hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Step = Callable[[], Any]

_log = logging.getLogger(__name__)
_LOOK_EVERY = 5.0


class GracefulShutdown:
    """How this process leaves. Run the program through it:

        shutdown = GracefulShutdown(limit=30)
        shutdown.stop_accepting(server.close)
        shutdown.drain(queue.join)
        shutdown.close(database.close)
        sys.exit(asyncio.run(shutdown.run(main())))

    It begins with the first of ``signals``, when the program returns, when it or a task of it crashes, when begin()
    is called, or when resident memory is over ``memory_limit`` bytes (looked at each 5 s). Steps are functions, async
    or not; a step that fails is logged and the next one is taken. limit: seconds for all steps, then the process ends
    with 1 whatever it is doing. A second signal ends it with 1 at once. Main thread. Both hold from the signal on, also
    where the program blocks the event loop.
    """

    def __init__(
        self,
        *,
        limit: float = GRACE_SHUTDOWN,
        signals: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT),
        memory_limit: int | None = None,
    ) -> None:
        self.limit = limit
        self.reason = ""
        self._signals = signals
        self._memory_limit = memory_limit
        self._steps: dict[str, list[Step]] = {"stop accepting": [], "drain": [], "close": []}
        self._began = asyncio.Event()
        self._error: BaseException | None = None
        self._code = 0
        self._is_timed = False
        self._told: queue.SimpleQueue[None] = queue.SimpleQueue()

    def stop_accepting(self, step: Step) -> Step:
        """First: take no new work. Steps of one kind are taken in the order in which they were given."""
        self._steps["stop accepting"].append(step)
        return step

    def drain(self, step: Step) -> Step:
        """Second: finish the work there is."""
        self._steps["drain"].append(step)
        return step

    def close(self, step: Step) -> Step:
        """Last: give resources back. In the reverse order: what was opened last is closed first."""
        self._steps["close"].insert(0, step)
        return step

    def begin(self, reason: str, error: BaseException | None = None) -> None:
        """Leave now; with an error the exit code will be 1. Asked again it changes nothing."""
        if not self._began.is_set():
            self.reason, self._error = reason, error
            self._began.set()

    async def run(self, main: Coroutine[Any, Any, object]) -> int:
        """Run the program, leave in order, and return the exit code: 0, or 1 after a crash.

        A program that ends by sys.exit() has its own code.
        """
        removes = [self._hear(number) for number in self._signals]
        removes.append(hooks.on_task_error(self._crashed))
        watch = threading.Thread(target=self._keep_time, name="rookery-shutdown", daemon=True)
        watch.start()
        program: asyncio.Future[object] = asyncio.ensure_future(self._program(main))
        program.add_done_callback(self._returned)
        guard = asyncio.ensure_future(self._watch_memory())
        try:
            await self._began.wait()
            guard.cancel()
            await self._leave(program)
        finally:
            for remove in removes:
                remove()
            guard.cancel()
            program.cancel()
            self._begin_timing()
            self._told.put(None)
            watch.join()
            await asyncio.gather(program, guard, return_exceptions=True)
        return self._code if self._error is None else 1

    def _hear(self, number: int) -> Callable[[], None]:
        """Hear of a signal twice: in the event loop, and at once, for the loop may be blocked."""
        remove = hooks.on_signal(number, lambda number: self.begin(f"{signal.Signals(number).name} came"))
        before = signal.signal(number, self._signalled)
        signal.siginterrupt(number, False)

        def unhear() -> None:
            signal.signal(number, before)
            remove()

        return unhear

    def _signalled(self, number: int, _: object) -> None:
        if self._is_timed or self._began.is_set():
            with suppress(Exception):  # it may have come in the middle of another message
                _log.error("%s again: leaving at once", signal.Signals(number).name)
            _exit_now()
        self._begin_timing()

    async def _program(self, main: Coroutine[Any, Any, object]) -> object:
        try:
            return await main
        except SystemExit as error:  # it would end the event loop, and nothing would be drained
            self._code = error.code if isinstance(error.code, int) else int(error.code is not None)
            if isinstance(error.code, str):
                _log.error("%s", error.code)
            return None

    def _crashed(self, error: BaseException) -> None:
        self.begin("a task crashed", error)

    def _returned(self, program: asyncio.Future[object]) -> None:
        if program.cancelled():  # not by us, unless it has begun: a task that it waited for was
            self.begin("the program was cancelled", asyncio.CancelledError())
        else:
            error = program.exception()
            self.begin("the program returned" if error is None else "the program crashed", error)

    async def _watch_memory(self) -> None:
        while self._memory_limit is not None:
            found = kernel.facts(os.getpid())
            used = 0 if found is None else found.rss_pages * kernel.PAGE_SIZE
            if used > self._memory_limit:
                self.begin(f"{used:,} bytes of memory are more than {self._memory_limit:,}")
                return
            await asyncio.sleep(_LOOK_EVERY)

    async def _leave(self, program: asyncio.Future[object]) -> None:
        if self._error is None:
            _log.info("leaving: %s", self.reason)
        else:
            _log.critical("leaving: %s", self.reason, exc_info=self._error)
        self._begin_timing()
        for kind, steps in self._steps.items():
            for step in steps:
                await self._take(kind, step)
            if kind == "drain" and not program.done():
                program.cancel()
                await asyncio.wait({program})

    async def _take(self, kind: str, step: Step) -> None:
        try:
            outcome = step()
            if inspect.isawaitable(outcome):
                await outcome
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            _log.exception("%s: %r waited for something that was cancelled", kind, step)
        except Exception:
            _log.exception("%s: %r failed", kind, step)

    def _begin_timing(self) -> None:
        if not self._is_timed:
            self._is_timed = True
            self._told.put(None)  # of all that wakes a thread this may be used in a signal handler

    def _keep_time(self) -> None:
        """In a thread: the limit holds also where the event loop is blocked."""
        self._told.get()
        try:
            self._told.get(timeout=self.limit)
        except queue.Empty:
            _log.critical("not done with leaving after %g s", self.limit)
            _exit_now()


def _exit_now() -> None:
    with suppress(Exception):  # a broken pipe is no reason to stay
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(1)
