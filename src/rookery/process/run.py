"""Commands from start to result: run and shell, awaited or blocking."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Unpack, overload

from rookery import errors
from rookery.process.command import Command, arguments
from rookery.process.options import RunOptions  # noqa: TC001 - read by whoever reads the signatures
from rookery.process.pipeline import Pipeline, PipelineResult
from rookery.process.script import shell_command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery.process.result import Result


@overload
async def run(program: Pipeline[str]) -> PipelineResult[str]: ...
@overload
async def run(program: Pipeline[bytes]) -> PipelineResult[bytes]: ...
@overload
async def run(program: Command[str]) -> Result[str]: ...
@overload
async def run(program: Command[bytes]) -> Result[bytes]: ...
@overload
async def run(program: str, *args: object, encoding: None, **options: Unpack[RunOptions]) -> Result[bytes]: ...
@overload
async def run(program: str, *args: object, encoding: str = ..., **options: Unpack[RunOptions]) -> Result[str]: ...
async def run(program: Any, *args: object, **options: Any) -> Any:
    """Run a program to its end, without a shell, and return everything about it.

    Output is kept (100 MB at the utmost, see max_output) and is text; encoding=None gives bytes. stdin is empty. No
    time limit but ``timeout``. A command that spawn() or ``a | b`` described may be given in place of a program.
    Raises SpawnError where it could not be started, ProcessFailed (TimedOut, OutputLimit) with the same result where
    it did not go well: an exit code that is not in ok_exit_codes; text on stderr is no failure. Cancelled, it stops
    the program and everything that the program started, before the cancellation goes on.
    """
    return await _command(program, args, options).run()


@overload
async def shell(
    script: str, values: Mapping[str, object] = ..., *, shell: str = ..., encoding: None, **options: Unpack[RunOptions]
) -> Result[bytes]: ...
@overload
async def shell(
    script: str,
    values: Mapping[str, object] = ...,
    *,
    shell: str = ...,
    encoding: str = ...,
    **options: Unpack[RunOptions],
) -> Result[str]: ...
async def shell(
    script: str, values: Mapping[str, object] | None = None, *, shell: str = "/bin/sh", **options: Any
) -> Any:
    """Run a script through a shell: pipes, globs, redirection and $VARIABLES work. Else as run().

    Never paste values into a script. Name them: ``await shell("grep {pattern} {files} | wc -l", {"pattern": text,
    "files": [..]})``; a value is one word, a list is as many words as it has items, whatever they hold.
    Raises UsageError for a placeholder that stands where a word cannot be put safely, such as inside quotes.
    """
    return await shell_command(script, values, shell, options).run()


@overload
def run_sync(program: Pipeline[str]) -> PipelineResult[str]: ...
@overload
def run_sync(program: Pipeline[bytes]) -> PipelineResult[bytes]: ...
@overload
def run_sync(program: Command[str]) -> Result[str]: ...
@overload
def run_sync(program: Command[bytes]) -> Result[bytes]: ...
@overload
def run_sync(program: str, *args: object, encoding: None, **options: Unpack[RunOptions]) -> Result[bytes]: ...
@overload
def run_sync(program: str, *args: object, encoding: str = ..., **options: Unpack[RunOptions]) -> Result[str]: ...
def run_sync(program: Any, *args: object, **options: Any) -> Any:
    """run() for scripts: it blocks, in an event loop of its own.

    From any thread. Raises UsageError where an event loop runs in this thread: await run() there.
    """
    return _block(_command(program, args, options))


@overload
def shell_sync(
    script: str, values: Mapping[str, object] = ..., *, shell: str = ..., encoding: None, **options: Unpack[RunOptions]
) -> Result[bytes]: ...
@overload
def shell_sync(
    script: str,
    values: Mapping[str, object] = ...,
    *,
    shell: str = ...,
    encoding: str = ...,
    **options: Unpack[RunOptions],
) -> Result[str]: ...
def shell_sync(
    script: str, values: Mapping[str, object] | None = None, *, shell: str = "/bin/sh", **options: Any
) -> Any:
    """shell() for scripts: it blocks, in an event loop of its own. See run_sync()."""
    return _block(shell_command(script, values, shell, options))


def _command(program: Any, args: tuple[object, ...], options: dict[str, Any]) -> Command[Any] | Pipeline[Any]:
    if isinstance(program, Command | Pipeline):
        if args or options:
            raise errors.UsageError("the command is described already", hint="give arguments and options to spawn()")
        return program
    return Command(arguments(program, args), options)


def _block(command: Command[Any] | Pipeline[Any]) -> Any:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(command.run())
    raise errors.UsageError("an event loop runs in this thread, and would stand still", hint="await run() instead")
