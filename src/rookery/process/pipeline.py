"""Commands joined by pipes of the kernel's: what flows between them never comes here.

The parent keeps no end of them open: a stage that ends is seen by its neighbours at once.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rookery import errors
from rookery.process.ending import end_all, together
from rookery.process.lookup import explain
from rookery.process.stdio import CAPTURE, PIPE, Stdio

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from types import TracebackType

    from rookery.process.child import Child
    from rookery.process.command import Command
    from rookery.process.input import InputStream
    from rookery.process.output import OutputStream
    from rookery.process.result import Result

Text = TypeVar("Text", str, bytes)
_SIGPIPE = -int(signal.SIGPIPE)


@dataclass(frozen=True, slots=True)
class PipelineResult(Generic[Text]):
    """How a pipeline went. stages: each one's result, in order; pipefail: whether any stage's failure counts.

    stdout is the last stage's, stderr that of all, in order. A stage that ended by SIGPIPE has not failed where a later
    one went well: who had read enough left.
    """

    stages: tuple[Result[Text], ...]
    pipefail: bool = True

    @property
    def failed(self) -> Result[Text] | None:
        """The last stage that failed, or None."""
        last = self.stages[-1]
        if not last.ok:
            return last
        for stage in reversed(self.stages[:-1]):
            if self.pipefail and not stage.ok and (stage.returncode != _SIGPIPE or stage.timed_out):
                return stage
        return None

    @property
    def ok(self) -> bool:
        """Whether it went as wanted."""
        return self.failed is None

    @property
    def returncode(self) -> int | None:
        """That of the stage that failed, else that of the last one."""
        return (self.failed or self.stages[-1]).returncode

    @property
    def signal(self) -> str | None:
        """The signal that ended the stage that failed."""
        return (self.failed or self.stages[-1]).signal

    @property
    def stdout(self) -> Text:
        """The last stage's."""
        return self.stages[-1].stdout

    @property
    def stderr(self) -> Text:
        """Of all stages, one after the other."""
        return self.stages[0].stderr[:0].join([stage.stderr for stage in self.stages])

    @property
    def duration(self) -> float:
        """Seconds, of the stage that took longest."""
        return max(stage.duration for stage in self.stages)

    @property
    def cancelled(self) -> bool:
        """Whether we stopped it."""
        return any(stage.cancelled for stage in self.stages)

    @property
    def command(self) -> tuple[tuple[str, ...], ...]:
        """The stages' commands."""
        return tuple(stage.command for stage in self.stages)

    @property
    def escaped_command(self) -> str:
        """As a shell would take it."""
        return " | ".join(stage.escaped_command for stage in self.stages)

    def explain(self) -> str:
        """In words why it failed."""
        failed = self.failed or self.stages[-1]
        return f"stage {self.stages.index(failed) + 1} ({failed.command[0]}) {failed.explain()}"


class RunningPipeline(Generic[Text]):
    """The children of a pipeline, in order. stdin is the first one's, stdout the last one's."""

    def __init__(self, children: tuple[Child[Any], ...], *, pipefail: bool) -> None:
        self.children = children
        self._pipefail = pipefail

    @property
    def stdin(self) -> InputStream | None:
        """The first child's, where it is PIPE."""
        return self.children[0].stdin

    @property
    def stdout(self) -> OutputStream[Text] | None:
        """The last child's, where it is PIPE."""
        return self.children[-1].stdout

    async def result(self, *, check: bool = True) -> PipelineResult[Text]:
        """Wait for all; see Child.result. Raises ProcessFailed."""
        stages = [await child.result(check=False) for child in self.children]
        return self._outcome(stages, check=check)

    async def finish(self, *, check: bool) -> PipelineResult[Text]:
        """Like result(), but who is cancelled here takes all children along."""
        try:
            for child in self.children:
                child.on_close(self._look_for_faults)
            stages = [await child.result(check=False) for child in self.children]
        except BaseException:
            await end_all(self.children)
            raise
        return self._outcome(stages, check=check)

    def _look_for_faults(self) -> None:
        """Where one has failed for a fault of ours, nobody wants the others."""
        if any(child.has_fault for child in self.children):
            for child in self.children:
                child.begin_end()

    async def stop(self) -> PipelineResult[Text]:
        """Stop all, as their options say."""
        stages = await together(self.children, [child.stop() for child in self.children])
        return PipelineResult(tuple(stages), self._pipefail)

    async def leave(self, *, is_hurried: bool) -> None:
        """The end of an ``async with`` block, for all."""
        await together(self.children, [child.leave(is_hurried=is_hurried) for child in self.children])

    def _outcome(self, stages: Iterable[Result[Text]], *, check: bool) -> PipelineResult[Text]:
        result = PipelineResult(tuple(stages), self._pipefail)
        if check and not result.ok and not result.cancelled:
            failed = result.failed
            if failed is not None and failed.timed_out is not None:
                raise errors.TimedOut(result)
            raise errors.OutputLimit(result) if failed and failed.truncated else errors.ProcessFailed(result)
        return result


class Pipeline(Generic[Text]):
    """Commands joined by pipes, not started yet: made by ``a | b``. Started like a command.

    pipefail: whether the failure of any stage is the pipeline's (default), or the last one's alone; see with_last().
    """

    def __init__(self, commands: tuple[Command[Any], ...], *, pipefail: bool = True) -> None:
        self.commands = commands
        self.pipefail = pipefail
        self._entered: RunningPipeline[Text] | None = None

    def with_last(self) -> Pipeline[Text]:
        """The same, with nothing but the last stage deciding whether it went well."""
        return Pipeline(self.commands, pipefail=False)

    def __or__(self, other: Command[Any] | Pipeline[Any]) -> Pipeline[Any]:
        more: tuple[Command[Any], ...] = other.commands if isinstance(other, Pipeline) else (other,)
        return Pipeline((*self.commands, *more), pipefail=self.pipefail)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.commands))

    def start(self, default: Stdio = PIPE, *, guard_now: bool = True) -> RunningPipeline[Text]:
        """Start all stages; see Command.start. Where one cannot be started the others are killed."""
        self._check()
        started: list[Child[Any]] = []
        read: int | None = None
        write: int | None = None
        try:
            for command in self.commands:
                before, read, write = read, None, None
                try:
                    if command is not self.commands[-1]:
                        read, write = _pipe(command)
                    started.append(command.start(default, stdin=before, stdout=write, guard_now=guard_now))
                finally:
                    for fd in (before, write):
                        if fd is not None:
                            os.close(fd)
        except BaseException:
            if read is not None:
                os.close(read)
            for child in started:
                child.abandon()
            raise
        return RunningPipeline(tuple(started), pipefail=self.pipefail)

    async def run(self) -> PipelineResult[Text]:
        """Start it with its output kept, and wait for its end; what the function of the same name does."""
        self._check()
        for command in self.commands:
            command.check_run()
        check = all(command.options.check for command in self.commands)
        return await self.start(CAPTURE, guard_now=False).finish(check=check)

    def _check(self) -> None:
        for position, command in enumerate(self.commands):
            options = command.options
            if (position > 0 and (options.stdin is not None or options.input is not None)) or (
                position < len(self.commands) - 1 and options.stdout is not None
            ):
                raise errors.UsageError(f"{command!r} is given a stream that its neighbour in the pipeline takes")

    def __await__(self) -> Generator[Any, None, RunningPipeline[Text]]:
        return self._start().__await__()

    async def _start(self) -> RunningPipeline[Text]:
        return self.start()

    async def __aenter__(self) -> RunningPipeline[Text]:
        if self._entered is not None:
            raise errors.UsageError("this pipeline has been entered already", hint="describe it anew for each block")
        self._entered = self.start()
        return self._entered

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        running, self._entered = self._entered, None
        if running is not None:
            await running.leave(is_hurried=kind is not None)


def _pipe(command: Command[Any]) -> tuple[int, int]:
    try:
        return os.pipe()
    except OSError as error:
        raise explain(error.errno or 0, command.argv, stage="fork", env=None, cwd=None) from None
