"""A running child: its streams, its end, and how it is stopped.

Exit and end of output are two events: somebody else may hold the output open. wait() waits for the first, result()
for the last. See life.py for the steps.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

from rookery import errors
from rookery.lifecycle.stop import SIGKILL, StopPlan
from rookery.process.kill import kill_now
from rookery.process.life import Life, Text
from rookery.process.local import LocalHandle

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.lifecycle.exit import ExitStatus
    from rookery.process.result import Result

_LAST_STEPS = 0.5


class Child(Life[Text]):
    """A child of this process. Made by spawn(); use it from the event loop in which it was started.

    stdin, stdout, stderr are streams where they are PIPE, else None.
    """

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def returncode(self) -> int | None:
        """Negative for a signal; None while it runs, and where nobody saw the end."""
        return self._entry.exit.result().returncode if self._entry.exit.done() else None

    @property
    def cookie(self) -> str:
        """The value of ROOKERY_UNIT that it was started with, and all that it starts."""
        return self._cookie

    def __repr__(self) -> str:
        state = "running" if self.is_running else str(self._entry.exit.result())
        return f"<Child {self.pid} {self.command[0]!r} {state}>"

    # -- waiting ----------------------------------------------------------------------------------------------------

    async def wait(self) -> ExitStatus:
        """How it ended. Many may wait at once; cancelling one disturbs nobody. Its output may go on for a moment."""
        if not self._entry.exit.done():
            waiter = self._loop.create_future()
            self._exit_waiters.append(waiter)
            await waiter
        return self._entry.exit.result()

    async def result(self, *, check: bool | None = None) -> Result[Text]:
        """Wait until it has ended, its output too, and nothing of its tree is left; everything about it.

        check: whether to raise, as the option ``check``. Raises ProcessFailed and what derives from it, and what a
        function that was given the output, or the iteration of an input, has raised. Cancelling disturbs nobody.
        """
        await self._closed()
        return self.outcome(check=check)

    def outcome(self, *, check: bool | None = None) -> Result[Text]:
        """The result of a child that is closed. See result()."""
        if self._fault is not None:
            raise self._fault
        if not self._is_closed:
            raise errors.UsageError("the child is not closed yet", hint="await child.result()")
        result = self._result
        if (self._options.check if check is None else check) and not result.ok and not result.cancelled:
            if result.timed_out is not None:
                raise errors.TimedOut(result)
            raise errors.OutputLimit(result) if self._is_over_limit else errors.ProcessFailed(result)
        return result

    async def finish(self) -> Result[Text]:
        """Like result(), but it is ours alone: who is cancelled here takes the child and its tree along.

        It is stopped as stop() does it; a second cancellation kills at once.
        """
        try:
            await self._closed()
        except asyncio.CancelledError:
            await self._end_whatever_comes()
            raise
        return self.outcome()

    async def _end_whatever_comes(self) -> None:
        self.begin_end()
        while not self._is_closed:
            try:
                await self._closed()
            except asyncio.CancelledError:  # impatient
                self.hurry()

    @property
    def has_fault(self) -> bool:
        """Whether something of ours failed for it: a function that was given output, an input, a decoding."""
        return self._fault is not None

    def begin_end(self) -> None:
        """Begin to stop it as stop() does, without waiting; nothing where it is closed. See ending.py."""
        self._is_cancelled = True
        self._end(self._options.stop_plan())

    def hurry(self) -> None:
        """Nothing polite any more: SIGKILL to what is left, without waiting."""
        kill_now(self._tree)

    def on_close(self, call: Callable[[], None]) -> None:
        """Call this once everything of it has ended; at once where it has."""
        if not self._is_closed:
            self._on_close.append(call)
        else:
            call()

    # -- ending it --------------------------------------------------------------------------------------------------

    def signal(self, number: int) -> bool:
        """Signal the child alone; False where it has ended. A pid that was used again is never hit."""
        return LocalHandle(self._entry).signal(number)

    async def stop(self, plan: StopPlan | None = None) -> Result[Text]:
        """Stop it and everything of its tree: the polite signal, grace, SIGKILL; never raises ProcessFailed.

        plan: otherwise than its options say. Where a stop is under way it is waited for. Cancelled, it goes on.
        Raises StopFailed.
        """
        if not self._is_closed:
            self._is_cancelled = self._is_cancelled or self.is_running
            self._end(plan or self._options.stop_plan())
            await self._closed()
        return self.outcome(check=False)

    async def terminate(self) -> Result[Text]:
        """stop() as its options say."""
        return await self.stop()

    async def kill(self) -> Result[Text]:
        """SIGKILL to the whole tree, also where a polite stop is under way."""
        if self._ending is not None:
            kill_now(self._tree)
            self._is_forced = True
        return await self.stop(StopPlan(signal=SIGKILL))

    async def leave(self, *, is_hurried: bool) -> None:
        """What the end of an ``async with`` block does: nothing of it is left behind.

        is_hurried: an error ended the block. Else a child that we could write to has heard that this was all, and has
        graceful_timeout seconds to end by itself; one whose output has ended has the moment that it needs.
        """
        patience = 0.0
        if self.stdin is not None:
            patience = self._options.graceful_timeout
        elif not self._readers and self._wiring.outputs:
            patience = _LAST_STEPS
        if self.stdin is not None:
            self.stdin.close()
        try:
            if patience and not is_hurried and self.is_running:
                async with asyncio.timeout(patience):
                    await self.wait()
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            await self._end_whatever_comes()
            raise
        if not self._is_closed:
            await self._leave()
        if self._fault is not None and not is_hurried:
            raise self._fault

    async def _leave(self) -> None:
        if self.is_running:
            self._is_cancelled = True
            self._end(self._options.stop_plan())
        else:
            self._close_outputs()
        try:
            await self._closed()
        except asyncio.CancelledError:
            await self._end_whatever_comes()
            raise

    def resize(self, rows: int, columns: int) -> None:
        """Tell a child with a terminal (pty) that its window has another size."""
        import fcntl  # noqa: PLC0415 - with termios, only for terminals
        import termios  # noqa: PLC0415

        if not self._options.pty or not self._readers:
            raise errors.UsageError("it has no terminal", hint="start it with pty=True")
        fcntl.ioctl(self._readers[0].fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
