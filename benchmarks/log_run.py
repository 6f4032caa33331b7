"""One measured run: an app writes at full speed while one contender moves its lines into a file."""

import contextlib
import os
import time
from typing import NamedTuple

import proc
from log_check import Tally, chain, ends_with
from programs import Gate
from running import Failed, wait_for

SETTLE = 0.25
"""Seconds between the start of the app and its gate: what the start costs is not part of the figures."""
PATIENCE = 30.0
"""Seconds for the last line to come."""


class Sample(NamedTuple):
    """seconds: from the app's first write until its last line is in the file; cpu: seconds by role."""

    seconds: float
    cpu: dict[str, float]
    tally: Tally


class Run:
    """What all runs share. argv: the app; expected: what it writes, LINES lines of it."""

    def __init__(self, folder, argv, lines, expected):
        self._gate = os.path.join(folder, "gate")
        self._times = os.path.join(folder, "times")
        self._lines, self._expected = lines, expected
        self.argv = [*argv, "full", str(lines), self._gate, self._times]

    def measure(self, contender):
        """Raises Failed; the app and its files are gone afterwards in any case."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._times)
        gate = Gate(self._gate)
        try:
            contender.start(self.argv)
        except Failed:
            gate.open()
            raise
        try:
            return self._measure(contender, gate)
        finally:
            contender.forget()
            for path in chain(contender.log):
                os.unlink(path)

    def _measure(self, contender, gate):
        time.sleep(SETTLE)
        pids = contender.pids()
        before = {role: proc.cpu_seconds(pid) for role, pid in pids.items()}
        gate.open()
        try:
            wait_for(lambda: ends_with(contender.log, self._lines - 1), "the last line", timeout=PATIENCE)
        except Failed as failed:
            wait_for(self._began, "the end of the writing", timeout=PATIENCE)
            raise Failed(f"{failed} ({self._tally(contender).lost:,} lines lost)") from None
        arrived = time.monotonic_ns()
        cpu = {role: proc.cpu_seconds(pid) - before[role] for role, pid in pids.items()}
        wait_for(self._began, "the app's own times")
        return Sample((arrived - self._began()) / 1e9, cpu, self._tally(contender))

    def _tally(self, contender):
        return self._expected.check(chain(contender.log))

    def _began(self):
        """Nanoseconds, 0 while the app has not told."""
        try:
            with open(self._times, encoding="ascii") as file:
                return int(file.read().split()[0])
        except (FileNotFoundError, IndexError):
            return 0
