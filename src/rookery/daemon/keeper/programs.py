"""The two programs that the keeper runs by itself: manager and collector, and how a newer manager takes the place."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import namedtuple

from rookery.errors import LinkError
from rookery.process.spec import SpawnSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NamedTuple

    from rookery.daemon.keeper.children import Child

    class Command(NamedTuple):
        """Which Python, and the folder that holds the package."""

        python: str
        root: str
else:
    Command = namedtuple("Command", "python root")  # noqa: PYI024 - typing costs the keeper 5 ms

FAST = 5.0
CANDIDATE_WITHIN = 15.0
FAST_FAILURES = 3
_PAUSES = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
_MANAGER = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from rookery.daemon.manager.main import main; main(sys.argv[2:])"
)


def own_command() -> Command:
    """What this keeper was started with."""
    here = os.path.abspath(__file__)
    return Command(sys.executable, os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(here)))))


def manager_spec(command: Command, home: str, *options: str) -> SpawnSpec:
    """A manager's process, without its descriptors."""
    argv = (command.python, "-I", "-c", _MANAGER, command.root, "rookery-manager", *options, home)
    return SpawnSpec(argv, cwd="/")


class Respawned:
    """One program that is to run as long as the keeper does.

    start: starts it and returns the child; raises SpawnError. The keeper has no restart policy to choose from: these
    two are ours, they come back at once, then after growing pauses while they fail fast.
    """

    def __init__(self, start: Callable[[int], Child]) -> None:
        self._start = start
        self.child: Child | None = None
        self.generation = 0
        self.wanted = False
        self.due: float | None = None
        self.fast_failures = 0

    def want(self) -> None:
        """Start it now and whenever it ends."""
        self.wanted = True
        if self.child is None and self.due is None:
            self.due = time.monotonic()

    def drop(self) -> None:
        """Do not start it again."""
        self.wanted = False
        self.due = None

    def start_if_due(self, complain: Callable[[str], None]) -> None:
        """Start it where its pause is over."""
        if self.due is None or time.monotonic() < self.due:
            return
        self.due = None
        self.generation += 1
        try:
            self.child = self._start(self.generation)
        except Exception as error:  # whatever it is, the keeper must live on
            complain(f"could not start: {error}")
            self.ended(0.0)

    def ended(self, lifetime: float) -> None:
        """It ended after so many seconds; plan the next start."""
        self.child = None
        if lifetime >= FAST:
            self.fast_failures = 0
        if self.wanted:  # not where the start itself has found that it is not wanted any more
            self.due = time.monotonic() + _PAUSES[min(self.fast_failures, len(_PAUSES) - 1)]
            self.fast_failures += 1

    def terminate(self) -> None:
        """Ask it to end."""
        if self.child is not None:
            os.kill(self.child.pid, signal.SIGTERM)


class Managers:
    """The manager in charge, and during an upgrade the candidate for its place.

    start: starts a manager by a command, with options. A candidate that takes the lease is in charge from then on; the
    one before is asked to leave. A command that has not lived for FAST seconds falls back to the last good one: at once
    when it came by an upgrade and has failed (it leaves with 0 when the keeper follows it), after three fast ends
    otherwise.
    """

    def __init__(self, start: Callable[..., Child], command: Command) -> None:
        self.command = command
        self.good: Command | None = None
        self.candidate: Child | None = None
        self._start = start
        self._candidate_command: Command | None = None
        self._candidate_until = 0.0
        self._leaving: Child | None = None
        self.current = Respawned(lambda generation: start(self.command, generation))

    def try_upgrade(self, command: Command) -> Child:
        """Start a candidate. Raises SpawnError, LinkError where there is one already."""
        if self.candidate is not None:
            raise LinkError("an upgrade is under way already", hint="look with: rook ping")
        self.current.generation += 1
        self.candidate = self._start(command, self.current.generation, "--upgrade")
        self._candidate_command = command
        self._candidate_until = time.monotonic() + CANDIDATE_WITHIN
        return self.candidate

    def promote(self) -> Child | None:
        """The candidate has the lease; return the manager that must leave now."""
        assert self.candidate is not None and self._candidate_command is not None  # noqa: PT018
        self._leaving, self.current.child = self.current.child, self.candidate
        self.good, self.command = self.command, self._candidate_command
        self.candidate = self._candidate_command = None
        self.current.due = None
        self.current.fast_failures = 0
        return self._leaving

    @property
    def leaving(self) -> Child | None:
        """The manager that was replaced and has not ended yet."""
        return self._leaving if self._leaving is not None and self._leaving.ended_at is None else None

    def late_candidate(self) -> Child | None:
        """The candidate, where its time is over."""
        return self.candidate if self.candidate is not None and time.monotonic() > self._candidate_until else None

    def ended(self, child: Child, lifetime: float) -> str:
        """A manager has ended: "candidate", "left", or "current" (which is started again)."""
        if child is self.candidate:
            self.candidate = self._candidate_command = None
            return "candidate"
        if child is not self.current.child:
            return "left"
        has_failed = self.good is not None and self.good != self.command and child.returncode != 0
        if lifetime >= FAST:
            self.good = self.command
        elif self.good is not None and (has_failed or self.current.fast_failures >= FAST_FAILURES):
            self.command = self.good
        self.current.ended(lifetime)
        return "current"

    @property
    def due(self) -> float | None:
        """When something is to be done, in monotonic seconds."""
        moments = [self.current.due, self._candidate_until if self.candidate is not None else None]
        return min((moment for moment in moments if moment is not None), default=None)
