"""Many apps that log a little each: what the collector, the manager and a follower of all of them cost."""

import os
import signal
import subprocess
import time
from typing import NamedTuple

import proc
from log_check import RECORD, Tally, chain
from ours import table
from programs import Gate
from running import Failed

WARM_UP = 1.0
"""Seconds for the follower to open its files, and for the apps to get going before the measuring begins."""


class Swarm(NamedTuple):
    """cpu: percent of a core by role; lines: that the apps wrote; followed: that the follower printed."""

    cpu: dict[str, float]
    lines: int
    tally: Tally
    followed: int


def swarm(rookery, argv, expected_for, *, apps, rate, seconds):
    """Run them in rookery's home; nothing of them is left. expected_for(lines): an Expected."""
    gate = Gate(os.path.join(rookery.folder, "swarm-gate"))
    lines = int(rate * seconds)
    names = [f"swarm{number}" for number in range(apps)]
    command = [*argv, "paced", str(lines), str(rate), gate.path]
    path = rookery.write("swarm.toml", "".join(table(name, command, restart="never") for name in names))
    rookery.rook("start", path, "--wait", "started", "--timeout", "120s")
    printed = os.path.join(rookery.folder, "followed")
    with open(printed, "wb") as file:
        follower = subprocess.Popen(rookery.command("logs", "-f", "-n", "0"), stdout=file, env=rookery.environ)
        try:
            time.sleep(WARM_UP)
            cpu = _cpu({**rookery.pids(), "follower": follower.pid}, gate, seconds)
            time.sleep(WARM_UP)
            if follower.poll() is not None:
                raise Failed(f"rook logs -f ended with {follower.returncode}")
        finally:
            follower.send_signal(signal.SIGINT)
            follower.wait()
    expected = expected_for(lines)
    tallies = [expected.check(chain(rookery.log(name))) for name in names]
    rookery.rook("delete", "all")
    with open(printed, "rb") as file:
        followed = len(RECORD.findall(file.read()))
    return Swarm(cpu, apps * lines, Tally(*map(sum, zip(*tallies, strict=True))), followed)


def _cpu(pids, gate, seconds):
    """Percent of a core by role, without the first and the last tenth of the time."""
    gate.open()
    time.sleep(seconds / 10)
    before = {role: proc.cpu_seconds(pid) for role, pid in pids.items()}
    began = time.monotonic()
    time.sleep(seconds * 0.8)
    took = time.monotonic() - began
    cpu = {role: (proc.cpu_seconds(pid) - before[role]) / took * 100 for role, pid in pids.items()}
    time.sleep(seconds / 10)
    return cpu
