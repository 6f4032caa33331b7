"""What is measured of a process manager, step by step."""

import os
import random
import signal
import sys
import time
from typing import NamedTuple

import proc
from manager_contenders import sleepers
from report import median
from running import Failed, run, wait_for

LISTS = 15
"""Calls of each list command."""
STAMPS = 20
"""Apps that are killed."""
STABLE = 11.0
"""Seconds until rookery counts an app as stable, and one more."""


class Idle(NamedTuple):
    """memory: bytes (PSS) by role; cpu: percent of a core by role."""

    memory: dict[str, int]
    cpu: dict[str, float]


def life(contender, apps, note, *, is_first=True):
    """Start with no manager, restart, remove all, start again; note(phase, seconds). All apps run afterwards.

    Each step is checked by the apps' pids. Raises Failed.
    """
    if not is_first:
        contender.close()
    note("start, no manager", contender.cold())
    old = _running(contender, apps, set())
    note("restart all", contender.restart())
    old = _running(contender, apps, old)
    if hasattr(contender, "restart_settled"):
        note("restart all, settled", contender.restart_settled())
        _running(contender, apps, old)
    note("delete or stop all", contender.clear())
    if left := sleepers(contender):
        raise Failed(f"{len(left)} apps still run")
    note("start, manager is up", contender.warm())
    _running(contender, apps, set())


def lists(contenders):
    """Median seconds: of the bare interpreter, and by title and command of the others. They take turns."""
    calls = {("", "python -c pass"): ([sys.executable, "-c", "pass"], None)}
    for contender in contenders:
        calls |= {(contender.title, name): call for name, call in contender.lists().items()}
    took = {key: [] for key in calls}
    for _ in range(LISTS):
        for key, (argv, env) in calls.items():
            took[key].append(run(argv, env)[0])
    return {key: median(values) for key, values in took.items()}


def idle(contenders, seconds):
    """By title: memory and CPU while nobody asks for anything. All of them at the same time."""
    pids = {one.title: one.pids() for one in contenders}
    time.sleep(seconds / 2)
    before = {title: _cpu(of) for title, of in pids.items()}
    began = time.monotonic()
    time.sleep(seconds / 2)
    found = {}
    for title, of in pids.items():
        used, took = _cpu(of), time.monotonic() - began
        cpu = {role: (used[role] - before[title][role]) / took * 100 for role in of}
        found[title] = Idle({role: proc.pss(pid) for role, pid in of.items()}, cpu)
    return found


def kills(contenders, argv):
    """By title: seconds from SIGKILL of an app that had run for long until the first instruction of the next one."""
    files = {one.title: _start_stamps(one, argv) for one in contenders}
    time.sleep(STABLE)
    took = {title: [] for title in files}
    for number in range(STAMPS):
        for title in random.sample(list(files), len(files)):
            took[title].append(_kill(files[title][number]))
    return took


def _start_stamps(contender, argv):
    paths = [os.path.join(contender.folder, f"{contender.title}-stamp{number}") for number in range(STAMPS)]
    contender.stamp({f"stamp{number}": [*argv, "stamp", path] for number, path in enumerate(paths)})
    for path in paths:
        wait_for(lambda path=path: len(_stamps(path)) == 1, f"{contender.title}'s stamp")
    return paths


def _kill(path):
    ((pid, _),) = _stamps(path)
    killed = time.monotonic_ns()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(_stamps(path)) == 2, "the killed app's next start", pause=0.01)
    return (_stamps(path)[1][1] - killed) / 1e9


def _stamps(path):
    """(pid, monotonic nanoseconds) of each start."""
    try:
        with open(path, encoding="ascii") as file:
            return [tuple(map(int, line.split())) for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def _running(contender, apps, old):
    """Raises Failed unless so many run, none of which is old."""
    found = sleepers(contender)
    if len(found) != apps or found & old:
        raise Failed(f"{len(found)} of {apps} apps run, {len(found & old)} of them are old ones")
    return found


def _cpu(pids):
    return {role: proc.cpu_seconds(pid) for role, pid in pids.items()}
