"""The guardian: what a library process started does not outlive it, however it ends.

library process ──"+ pid start cookie", "- pid start"──► pipe ──► guardian
      └─ its end, a SIGKILL too, is the pipe's end of file ──► SIGKILL to all registered trees, and to everything that
                                                               carries the cookie of its scope

A program of its own: standard library, kernel facts and the tree alone. It ends by nothing but the pipe's end.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from rookery._os import kernel
from rookery.process.kill import kill_now
from rookery.process.tree import CookieIndex, ProcessTree

_PAUSES = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2)
"""Between looks: who was being started when the parent ended has no cookie to see until its exec."""
_QUIET = 3
DEAF_TO = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_MOST = 65536


def main() -> None:
    """Run until the pipe at standard input ends; argv: a name to be seen by, and the scope."""
    scope = sys.argv[2]
    for number in DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    end_all(read(0), scope)


def read(fd: int) -> dict[tuple[int, int], str]:
    """What is registered when the pipe ends: {(pid, start time): cookie}."""
    known: dict[tuple[int, int], str] = {}
    rest = b""
    while chunk := os.read(fd, _MOST):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            verb, pid, started, cookie = line.decode().split(" ", 3)
            if verb == "+":
                known[int(pid), int(started)] = cookie
            else:
                known.pop((int(pid), int(started)), None)
    return known


def end_all(known: dict[tuple[int, int], str], scope: str) -> None:
    """Kill the trees and whoever carries a cookie of the scope, until a look finds nobody."""
    trees = [ProcessTree(pid, started, cookie) for (pid, started), cookie in known.items()]
    quiet = 0
    for pause in _PAUSES:
        time.sleep(pause)
        found = False
        # An index for this look alone: who was between fork and exec has another environment by now.
        index = CookieIndex()
        for process in kernel.processes():
            if (index.cookie(process) or "").startswith(scope + ":"):
                trees.append(ProcessTree(process.pid, process.start_time, ""))
                found = True
        for tree in trees:
            found = bool(tree.members()) or found
            kill_now(tree)
        quiet = 0 if found else quiet + 1
        if quiet == _QUIET:
            return
