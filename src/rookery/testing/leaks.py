"""What a test may leave behind: nothing.

Compared before and after: descriptors, children (zombies and orphaned grandchildren too: the test run is a subreaper),
threads, signal handlers, environment, working directory. On macOS there is no /proc: descriptors and children are not
seen there.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from rookery._os import kernel
from rookery.process.guard import GUARD

_SETTLE = 5.0
_COLLECT_AFTER = 0.03
_PAUSE = 0.005
_NOT_OURS = {"PYTEST_CURRENT_TEST"}
# SIGALRM is pytest-timeout's, which takes its handler away from a test that fails.
_HANDLED = tuple(set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGALRM})


@dataclass(frozen=True)
class Snapshot:
    """What there is at one moment."""

    fds: dict[int, str]
    processes: dict[int, str]
    threads: frozenset[threading.Thread]
    handlers: dict[int, object]
    environment: dict[str, str]
    folder: str


def take() -> Snapshot:
    """What there is now."""
    return Snapshot(
        fds=_fds(),
        processes=_descendants(),
        threads=frozenset(thread for thread in threading.enumerate() if thread.is_alive()),
        handlers={number: signal.getsignal(number) for number in _HANDLED},
        environment={key: value for key, value in os.environ.items() if key not in _NOT_OURS},
        folder=os.getcwd(),
    )


def _fds() -> dict[int, str]:
    found: dict[int, str] = {}
    with suppress(FileNotFoundError):
        for name in os.listdir("/proc/self/fd"):
            with suppress(OSError):  # the listing's own
                target = os.readlink(f"/proc/self/fd/{name}")
                if not target.startswith("/proc/") and int(name) != GUARD.fd:
                    found[int(name)] = target
    return found


def _descendants() -> dict[int, str]:
    """Every descendant with its state and command, zombies too."""
    found: dict[int, str] = {}
    waiting = kernel.children(os.getpid())
    while waiting:
        pid = waiting.pop()
        if pid == GUARD.pid:  # one for each process that has children, and it goes with it
            continue
        facts = kernel.facts(pid)
        if facts is not None:
            found[pid] = f"{facts.state} {' '.join(kernel.command_line(pid)) or facts.name}"
            waiting += kernel.children(pid)
    return found


def differences(before: Snapshot) -> list[str]:
    """What is there now and was not before, in words; waits up to five seconds for things to go.

    What only the garbage collector closes is given to it: frames that pytest.raises keeps hold what a test dropped.
    """
    begin = time.monotonic()
    collected = False
    while True:
        found = _compare(before, take())
        waited = time.monotonic() - begin
        if not found or (collected and waited > _SETTLE):
            return found
        if not collected and waited > _COLLECT_AFTER:
            gc.collect()
            collected = True
        time.sleep(_PAUSE)


def _compare(before: Snapshot, after: Snapshot) -> list[str]:
    found = [f"open descriptor {fd} ({target})" for fd, target in after.fds.items() if before.fds.get(fd) != target]
    found += [f"process {pid} ({what})" for pid, what in after.processes.items() if pid not in before.processes]
    found += [f"thread {thread.name}" for thread in after.threads - before.threads]
    found += [
        f"handler of {signal.Signals(number).name}"
        for number, handler in after.handlers.items()
        if before.handlers[number] != handler
    ]
    if before.environment != after.environment:
        changed = {
            key
            for key in before.environment.keys() | after.environment.keys()
            if before.environment.get(key) != after.environment.get(key)
        }
        found.append(f"environment: {', '.join(sorted(changed))}")
    if before.folder != after.folder:
        found.append(f"working directory {after.folder}")
    return found


def clean_up(before: Snapshot) -> None:
    """End and close what is there now and was not before, so that the next test starts clean."""
    for pid in set(_descendants()) - set(before.processes):
        facts = kernel.facts(pid)
        if facts is not None:
            kernel.signal_process(pid, facts.start_time, signal.SIGKILL)
    deadline = time.monotonic() + _SETTLE
    while time.monotonic() < deadline:
        left = set(_descendants()) - set(before.processes)
        for pid in left:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if not left:
            break
        time.sleep(_PAUSE)
    for fd in set(_fds()) - set(before.fds):
        with suppress(OSError):
            os.close(fd)
    for number, handler in before.handlers.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)  # type: ignore[arg-type]
    for key in os.environ.keys() - before.environment.keys() - _NOT_OURS:
        del os.environ[key]
    os.environ.update(before.environment)
    os.chdir(before.folder)
