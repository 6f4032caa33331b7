"""How ``rook up`` runs: ``python -I -c '...; main()' rook-up FD``; FD holds what the command line has read.

One process: it starts the apps as its own children, keeps them alive by the same rules as the manager, passes their
output on, reaps whatever comes to it, and ends when they are all at rest or when it is told to.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from rookery._base.ids import new_scope
from rookery._os import kernel
from rookery.apps.translate import restart_policy, stop_plan
from rookery.config.spec import AppSpec
from rookery.daemon.up.output import Output
from rookery.daemon.up.plumbing import UpPlumbing, needs_output
from rookery.daemon.up.serving import as_one
from rookery.lifecycle.state import State
from rookery.process.reaper import TABLE
from rookery.supervise.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rookery.supervise.record import UnitEvent
    from rookery.supervise.unit import Unit

_REAP_EVERY = 1.0
_FORCED = 130
_LAST_WORDS = 5.0
"""Seconds for whoever reads our output to take the last of it, after a signal."""


class Request(msgspec.Struct):
    """What to run. prefixes: what stands before the lines of an instance, on stdout and on stderr."""

    specs: list[AppSpec]
    base_env: dict[str, str]
    prefixes: dict[str, tuple[str, str]] = {}


def main() -> None:
    """Run until the apps are at rest; the exit code is the first failing app's, or 0."""
    with open(int(sys.argv[-1]), "rb") as file:
        request = msgspec.json.decode(file.read(), type=Request)
    request.specs = [as_one(spec) for spec in request.specs]
    sys.exit(asyncio.run(_run(request)))


async def _run(request: Request) -> int:
    supervisor = Supervisor(scope=new_scope())
    plumbings: dict[str, UpPlumbing] = {}
    changed, stopping = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    output = None
    if needs_output(request.specs):  # `rook up | head` ends when nobody reads any more, as any other filter
        output = Output(sys.stdout.buffer, sys.stderr.buffer, lambda: loop.call_soon_threadsafe(stopping.set))
        output.start()

    def on_event(event: UnitEvent) -> None:
        changed.set()
        if event.after is State.RUNNING:
            plumbings[event.unit].started()
        if event.after in (State.BACKOFF, State.FATAL):
            name, _, index = event.unit.rpartition("#")
            sys.stderr.write(f"rook: {name}:{index} {event.after}: {event.reason}\n")
            sys.stderr.flush()

    supervisor.listen(on_event)
    for spec in request.specs:
        for index in range(spec.instances):
            key = f"{spec.name}#{index}"
            prefixes = request.prefixes.get(f"{spec.name}:{index}", ("", ""))
            plumbings[key] = UpPlumbing(spec, request.base_env, index, output, prefixes)
            supervisor.add(key, plumbings[key], restart=restart_policy(spec), stop=stop_plan(spec))
    _handle_signals(supervisor, stopping)
    reaping = asyncio.ensure_future(_reap_for_ever())
    try:
        await supervisor.start()
        await _until_over(supervisor, changed, stopping)
        ended = [unit for unit in supervisor if unit.state in (State.EXITED, State.FATAL)]
        await supervisor.stop()
        return _exit_code(list(supervisor) if len(supervisor) == 1 else ended)
    finally:
        reaping.cancel()
        await supervisor.close()
        if output is not None:
            # Who was told to end does not wait for ever for a reader that does not read.
            await asyncio.to_thread(output.close, _LAST_WORDS if stopping.is_set() else None)


async def _until_over(supervisor: Supervisor, changed: asyncio.Event, stopping: asyncio.Event) -> None:
    stopped = asyncio.ensure_future(stopping.wait())
    try:
        while not supervisor.is_quiet and not stopping.is_set():
            changed.clear()
            waiting = asyncio.ensure_future(changed.wait())
            await asyncio.wait({stopped, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
    finally:
        stopped.cancel()


def _handle_signals(supervisor: Supervisor, stopping: asyncio.Event) -> None:
    """The first SIGTERM or SIGINT stops politely, the second one at once. As process 1 there is no default for them."""
    killing: list[asyncio.Task[None]] = []

    def stop() -> None:
        if stopping.is_set():
            killing.append(asyncio.ensure_future(_kill(supervisor)))
            return
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)


async def _kill(supervisor: Supervisor) -> None:
    await asyncio.gather(*(unit.kill() for unit in supervisor), return_exceptions=True)
    os._exit(_FORCED)


async def _reap_for_ever() -> None:
    """Reap orphans that come to us, where we are process 1; our own children have the wait table."""
    while os.getpid() == 1:
        await asyncio.sleep(_REAP_EVERY)
        ours = set(TABLE.alive())
        for name in os.listdir("/proc"):
            if name.isdecimal() and int(name) not in ours:
                found = kernel.facts(int(name))
                if found is not None and found.ppid == 1 and found.state == "Z":
                    with suppress(ChildProcessError):
                        os.waitpid(found.pid, os.WNOHANG)  # noqa: ASYNC222 - it has ended


def _exit_code(units: Iterable[Unit]) -> int:
    """The first failing one's, or 0. units: those that have ended by themselves, or the only one."""
    for unit in units:
        last = unit.last_exit
        if last is None:
            continue
        if last.status.signal is not None:
            return 128 + last.status.signal
        if last.status.code is None:
            return 1
        if last.status.code:
            return last.status.code
    return 0
