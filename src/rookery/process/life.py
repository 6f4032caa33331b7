"""From the start of a child to its end: the steps, and what is waited for before each.

          ┌─ exit ──────────────┐   tree swept
started ──┤                     ├──────────────► closed: the result
          └─ outputs ended ─────┘
             (after the exit: within output_grace)
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from rookery import errors
from rookery._base.clock import SystemClock
from rookery.lifecycle.stop import SIGKILL
from rookery.process import verbose
from rookery.process.capture import Capture
from rookery.process.events import ChildEvent
from rookery.process.feed import feed, is_whole
from rookery.process.guard import GUARD, YOUNG
from rookery.process.input import InputStream
from rookery.process.kill import bury, kill_now
from rookery.process.local import LocalHandle, LocalTree
from rookery.process.output import OutputStream
from rookery.process.reader import PipeReader, to_all
from rookery.process.reaper import TABLE
from rookery.process.result import Result
from rookery.process.stop import stop, sweep
from rookery.process.watch import Limits

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from rookery.lifecycle.exit import ExitStatus
    from rookery.lifecycle.stop import StopPlan
    from rookery.process.child import Child
    from rookery.process.options import Options
    from rookery.process.readiness import Readiness
    from rookery.process.spawn import Spawned
    from rookery.process.wiring import OutputEnd, Wiring

Text = TypeVar("Text", str, bytes)
_CLOCK = SystemClock()
_NAMES = {1: "stdout", 2: "stderr"}


class Life(Generic[Text]):
    """What happens to a child; Child adds what can be asked of it."""

    stdin: InputStream | None = None
    stdout: OutputStream[Text] | None = None
    stderr: OutputStream[Text] | None = None
    # What most children never have.
    _capture: Capture | None = None
    _limits: Limits | None = None
    _grace: asyncio.TimerHandle | None = None
    _fed: InputStream | None = None
    _feeder: asyncio.Task[None] | None = None
    _ending: asyncio.Task[None] | None = None
    _fault: BaseException | None = None
    _is_cancelled = _is_forced = _is_swept = _is_over_limit = False
    _ended = 0.0
    _is_closed = False
    _made: Result[Text] | None = None
    _known_tree: LocalTree | None = None

    def __init__(
        self,
        argv: tuple[str, ...],
        options: Options,
        spawned: Spawned,
        cookie: str,
        wiring: Wiring,
        *,
        number: int,
        began: float,
        is_verbose: bool,
        loop: asyncio.AbstractEventLoop,
        readiness: Readiness,
        shown: str | None = None,
        guard_now: bool = True,
    ) -> None:
        """Take hold of what was just started; on an error it is killed, and everything of it is closed."""
        self.command = argv
        self.pid = spawned.pid
        self.start_time = spawned.start_time
        self.number = number
        self._began = began
        self._is_verbose = is_verbose
        self._options = options
        self._shown = shown
        self._cookie = cookie
        self._loop = loop
        self._readiness = readiness
        self._wiring = wiring
        self._readers: list[PipeReader] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._exit_waiters: list[asyncio.Future[None]] = []
        self._on_close: list[Callable[[], None]] = []
        try:
            self._entry = TABLE.add(spawned, loop, cookie=cookie, on_exit=self._exited, watch=readiness)
            self._connect(wiring)
        except BaseException:
            self.abandon()
            wiring.give_up()
            raise
        if not options.detached:
            if guard_now:
                GUARD.begin()
            YOUNG.add(self._entry)
        if options.on_event is not None:
            self._tell("started")

    @property
    def _tree(self) -> LocalTree:
        if self._known_tree is None:
            self._known_tree = LocalTree(self.pid, self.start_time, self._cookie)
        return self._known_tree

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._entry.exit.done()

    # -- its end ------------------------------------------------------------------------------------------------

    async def _closed(self) -> None:
        if not self._is_closed:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def abandon(self) -> None:
        """SIGKILL to all of it, and let go of its streams, without waiting: what it was started for failed."""
        kill_now(self._tree)
        self._is_cancelled = True
        for stream in (self.stdin, self._fed):
            if stream is not None:
                stream.abandon()
        for reader in list(self._readers):
            reader.close()

    def _end(self, plan: StopPlan) -> None:
        """Begin to stop it, unless that is under way."""
        if self._ending is None and not self._is_closed:
            self._begin(self._stop(plan))

    async def _stop(self, plan: StopPlan) -> None:
        forced = await stop(LocalHandle(self._entry), self._tree, plan, _CLOCK)
        self._is_forced = self._is_forced or (forced and plan.signal != SIGKILL)
        self._is_swept = True

    async def _sweep(self) -> None:
        await sweep(self._tree, _CLOCK)
        self._is_swept = True

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._ending = self._loop.create_task(work)
        self._ending.add_done_callback(self._has_ended)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._ending = None
        error = None if task.cancelled() else task.exception()
        if error is not None or task.cancelled():
            self._fault = self._fault or error
            kill_now(self._tree)  # the loop is being torn down, or it hangs in the kernel
            bury(self._tree)  # there may be no turn of the loop any more
            self._is_swept = True
            self._close_outputs()
            if error is not None and not self._entry.exit.done():
                self._finish()
                return
        self._go_on()

    # -- what happens to it -----------------------------------------------------------------------------------------

    def _connect(self, wiring: Wiring) -> None:
        if wiring.fds:
            wiring.started()
        options = self._options
        if wiring.stdin >= 0:
            stream = InputStream(
                self._loop, wiring.stdin, encoding=options.encoding, errors=options.errors,
                is_terminal=wiring.pty is not None,
            )  # fmt: skip
            wiring.stdin = -1
            self.stdin = stream
            if wiring.data is not None:
                self._give(stream, wiring.data)
        if options.timeout is not None or options.idle_timeout is not None:
            self._limits = Limits(
                self._loop, options.timeout, options.idle_timeout, self._timed_out,
                is_held=lambda: any(reader.is_paused for reader in self._readers),
            )  # fmt: skip
        for end in wiring.outputs:
            self._read(end)

    def _give(self, stream: InputStream, data: Any) -> None:
        self.stdin = None
        self._fed = stream
        if is_whole(data):
            try:
                stream.send(data)
            except errors.InputClosed:
                return
            stream.close()
        else:
            self._feeder = self._loop.create_task(feed(stream, data))
            self._feeder.add_done_callback(self._was_fed)

    def _was_fed(self, task: asyncio.Task[None]) -> None:
        self._feeder = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _read(self, end: OutputEnd) -> None:
        options = self._options
        sinks: list[Callable[[bytes], object]] = []
        live: OutputStream[Text] | None = None
        if end.is_live:
            live = OutputStream(self._loop, encoding=options.encoding, errors=options.errors, buffer=options.buffer)
            setattr(self, _NAMES[end.stream], live)
            sinks.append(live.take)
        if end.is_kept:
            if self._capture is None:
                self._capture = Capture(options.max_output, self._too_much)
            sinks.append(self._capture.sink(end.stream))
        sinks += [self._guarded(sink) for sink in end.sinks]
        if options.on_event is not None:
            name = cast("Any", _NAMES[end.stream])
            sinks.append(lambda data: self._tell("output", stream=name, data=data))
        if self._limits is not None and options.idle_timeout is not None:
            sinks.append(self._limits.heard)
        take = sinks[0] if len(sinks) == 1 else to_all(sinks)

        reader: PipeReader

        def ended() -> None:
            self._readers.remove(reader)
            if live is not None:
                live.end()
            if not self._readers:
                self._go_on()

        reader = PipeReader(self._readiness, end.fd, take, ended)
        end.fd = -1
        self._readers.append(reader)
        if live is not None:
            live.attach(reader)

    def _guarded(self, sink: Callable[[bytes], object]) -> Callable[[bytes], object]:
        """A file or function of theirs: what it raises ends the child and comes out of result()."""

        def take(data: bytes) -> None:
            if self._fault is None:
                try:
                    sink(data)
                except Exception as error:
                    self._fail(error)

        return take

    def _fail(self, error: BaseException) -> None:
        self._fault = self._fault or error
        self._end(self._options.stop_plan())

    def _tell(self, kind: Literal["started", "output", "exited", "closed"], **facts: Any) -> None:
        call = self._options.on_event
        if call is not None:
            try:
                call(ChildEvent(kind, cast("Child[Any]", self), **facts))
            except Exception as error:
                self._fail(error)

    def _too_much(self) -> None:
        if self._options.on_max_output == "kill":
            self._is_over_limit = True
            self._end(self._options.stop_plan())

    def _timed_out(self) -> None:
        self._end(self._options.stop_plan())

    def _exited(self, status: ExitStatus) -> None:
        self._ended = time.monotonic()
        _wake(self._exit_waiters)
        if self._limits is not None:
            self._limits.disarm()
        if self._feeder is not None:
            self._feeder.cancel()
        for stream in (self.stdin, self._fed):
            if stream is not None:
                stream.abandon()
        if self._options.on_event is not None:
            self._tell("exited", status=status)
        for reader in tuple(self._readers):
            reader.look()  # who ends closes its pipes before: mostly the end is there already
        if self._readers:
            self._grace = self._loop.call_later(self._options.output_grace, self._close_outputs)
        else:
            self._go_on()

    def _close_outputs(self) -> None:
        for reader in list(self._readers):
            reader.finish()

    def _go_on(self) -> None:
        """Take the next step towards the end, where nothing is waited for any more."""
        if self._readers or self._ending is not None or not self._entry.exit.done() or self._is_closed:
            return
        if self._entry.has_strays and not self._is_swept and not self._options.detached:
            self._tree.seen |= self._entry.strays  # they may be zombies by now, which bear no marks
            self._begin(self._sweep())
            return
        self._finish()

    def _finish(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
        if self._entry.has_strays and self._entry.exit.done():
            TABLE.swept()
        GUARD.forget(self.pid, self.start_time)
        if self._wiring.files:
            self._wiring.close_files()
        self._is_closed = True
        if self._capture is not None or self._limits is not None:
            self._made = self._make_result()
            self._capture = self._limits = None  # no circles: they hold the output, which may be large
        if self._options.on_event is not None:
            self._tell("closed", result=self._result)
        if self._is_verbose:
            verbose.ended(self.number, self._result)
        if self._waiters:
            _wake(self._waiters)
        for call in self._on_close:
            call()
        self._on_close.clear()

    @property
    def _result(self) -> Result[Text]:
        """That of a child that is closed; often nobody asks for it."""
        if self._made is None:
            self._made = self._make_result()
        return self._made

    def _make_result(self) -> Result[Text]:
        options = self._options
        status = self._entry.exit.result() if self._entry.exit.done() else None
        out: Any
        err: Any
        if self._capture is not None:
            try:
                out, err, order = self._capture.joined(options.encoding, options.errors)
            except UnicodeError as error:  # errors="strict"
                self._fault = self._fault or error
                out, err, order = self._capture.joined(options.encoding, "replace")
            is_truncated = self._capture.is_truncated
        else:
            out = err = b"" if options.encoding is None else ""
            order, is_truncated = (), False
        timed_out = None if self._limits is None else self._limits.exceeded
        limit: float | None = None
        if timed_out is not None:
            limit = options.timeout if timed_out == "timeout" else options.idle_timeout
        elif self._is_over_limit:
            limit = options.max_output
        return Result(
            command=self.command,
            pid=self.pid,
            returncode=None if status is None else status.returncode,
            signal=None if status is None else status.signal_name,
            duration=(self._ended or time.monotonic()) - self._began,
            stdout=out,
            stderr=err,
            timed_out=timed_out,
            truncated=is_truncated,
            cancelled=self._is_cancelled,
            is_forced=self._is_forced,
            cwd=None if options.cwd is None else os.fspath(options.cwd),
            ok_exit_codes=frozenset(options.ok_exit_codes),
            limit=limit,
            shown=self._shown,
            order=order,
        )


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()
