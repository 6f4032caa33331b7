"""A command that is described and not started yet."""

from __future__ import annotations

import asyncio
import itertools
import os
import shlex
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, overload

from rookery import errors
from rookery.process import verbose
from rookery.process.child import Child
from rookery.process.guard import GUARD
from rookery.process.lookup import explain
from rookery.process.options import Options, RunOptions
from rookery.process.readiness import readiness
from rookery.process.reaper import TABLE
from rookery.process.spawn import spawn_process
from rookery.process.stdio import CAPTURE, DISCARD, PIPE, Stdio, Tee
from rookery.process.wiring import wire

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from types import TracebackType

    from rookery.process.pipeline import Pipeline

Text = TypeVar("Text", str, bytes)
_numbers = itertools.count(1)


class Command(Generic[Text]):
    """A command that is described and not started yet; nothing of it changes when it is started.

    ``async with`` starts it and leaves nothing behind; ``await`` starts it and hands the child over; ``a | b`` joins
    two by a pipe of the kernel's; run() takes it too.
    """

    def __init__(self, argv: tuple[str, ...], options: Mapping[str, Any], *, shown: str | None = None) -> None:
        self.argv = argv
        self.options = Options(options)
        self.shown = shown
        self._entered: Child[Text] | None = None

    def __repr__(self) -> str:
        return f"<Command {self.shown or shlex.join(self.argv)}>"

    def start(
        self,
        default: Stdio = PIPE,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        guard_now: bool = True,
    ) -> Child[Text]:
        """Start it now, in the running event loop. There is no await, so nothing can come between.

        default: what outputs are that nothing was said about; stdin, stdout: descriptors in their place, which stay
        the caller's; guard_now: see that it does not outlive us from its first moment on, else when it has lived
        for a while. Raises SpawnError, ConfigError, UsageError; then nothing of it is left behind.
        """
        TABLE.expect()
        try:
            return self._begin(default, stdin, stdout, guard_now=guard_now)
        finally:
            TABLE.swept()

    def _begin(self, default: Stdio, stdin: int | None, stdout: int | None, *, guard_now: bool) -> Child[Text]:
        options, argv = self.options, self.argv
        loop = asyncio.get_running_loop()
        number, began = next(_numbers), time.monotonic()
        is_verbose = verbose.is_on(options.verbose)
        if is_verbose:
            verbose.started(number, self.shown or shlex.join(argv))
        try:
            cookie = GUARD.cookie(detached=options.detached)
            spec = options.spec(argv, cookie)
            try:
                wiring = wire(
                    options, DISCARD if options.detached and default is PIPE else default, spec.uid,
                    stdin=stdin, stdout=stdout,
                )  # fmt: skip
            except OSError as error:
                raise _not_wired(error, argv, spec.cwd) from None
            if options.idle_timeout is not None and not wiring.outputs:
                wiring.give_up()
                raise errors.UsageError("idle_timeout sees only output that comes to us", hint="see tee()")
            if wiring.pty is not None:
                spec = spec._replace(pty=wiring.pty)
            try:
                ready = readiness(loop)
                spawned = spawn_process(spec, wiring.fds, tools=ready.tools())
            except BaseException:
                wiring.give_up()
                raise
        except Exception as error:
            if is_verbose:
                verbose.failed(number, error)
            raise
        return Child(
            argv,
            options,
            spawned,
            cookie,
            wiring,
            number=number,
            began=began,
            is_verbose=is_verbose,
            loop=loop,
            readiness=ready,
            shown=self.shown,
            guard_now=guard_now,
        )

    async def run(self) -> Any:
        """Start it with its output kept, and wait for its end; what the function of the same name does."""
        self.check_run()
        return await self.start(CAPTURE, guard_now=False).finish()

    def check_run(self) -> None:
        """Raises UsageError for a live stream: run() returns when all is over, and nobody would have the other end."""
        for name in ("stdin", "stdout", "stderr"):
            target = getattr(self.options, name)
            if target is PIPE or (isinstance(target, Tee) and PIPE in target.targets):
                use, hint = ("write to", "give it input=, or ") if name == "stdin" else ("read", "")
                raise errors.UsageError(
                    f"run() returns when all is over: nobody could {use} a live {name}", hint=f"{hint}use spawn()"
                )

    def __await__(self) -> Generator[Any, None, Child[Text]]:
        return self._start().__await__()

    async def _start(self) -> Child[Text]:
        return self.start()

    async def __aenter__(self) -> Child[Text]:
        if self._entered is not None:
            raise errors.UsageError("this command has been entered already", hint="describe it anew for each block")
        self._entered = self.start()
        return self._entered

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        child, self._entered = self._entered, None
        if child is not None:
            await child.leave(is_hurried=kind is not None)

    def __or__(self, other: Command[Any] | Pipeline[Any]) -> Pipeline[Any]:
        from rookery.process.pipeline import Pipeline  # noqa: PLC0415 - which is made of commands

        return Pipeline((self, *(other.commands if isinstance(other, Pipeline) else (other,))))


def _not_wired(error: OSError, argv: tuple[str, ...], cwd: str | None) -> errors.SpawnError:
    if error.filename is None:
        return explain(error.errno or 0, argv, stage="fork", env=None, cwd=cwd)
    name = os.fsdecode(error.filename)
    return errors.SpawnError(f"cannot open {name!r} ({error.strerror})", argv=argv, cwd=cwd, errno=error.errno or 0)


@overload
def spawn(program: str, *args: object, encoding: None, **options: Unpack[RunOptions]) -> Command[bytes]: ...
@overload
def spawn(program: str, *args: object, encoding: str = ..., **options: Unpack[RunOptions]) -> Command[str]: ...
def spawn(program: str, *args: object, **options: Any) -> Command[Any]:
    """Describe a child, to be started by ``async with`` or ``await``.

    Its outputs are live streams (child.stdout, child.stderr), stdin is empty. Options: see RunOptions and the
    reference. Starting it raises SpawnError; then nothing of it is left behind.
    """
    return Command(arguments(program, args), options)


def arguments(program: str | os.PathLike[str], args: tuple[object, ...]) -> tuple[str, ...]:
    """The command line: text, paths and numbers as text, bytes as they are. Raises UsageError for anything else."""
    if not args:
        return (os.fspath(program),)
    return (os.fspath(program), *[arg if type(arg) is str else argument(arg) for arg in args])


def argument(value: object) -> str:
    """One argument as text. Raises UsageError."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise errors.UsageError(
        f"an argument is text, bytes, a path or a number, not {value!r}", hint="a list is passed as *list"
    )


def require_loop() -> None:
    """Raises UsageError where no event loop runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise errors.UsageError("there is no event loop", hint="use run_sync() and shell_sync() in scripts") from None
