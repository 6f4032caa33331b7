"""Pools of the scripts in programs/pool, in Python and in Node."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_node
from rookery._os import kernel
from rookery.pool import ProcessPool
from rookery.testing import wait_until

PROGRAMS = Path(__file__).parent / "programs" / "pool"

LANGUAGES = [
    pytest.param({"script": PROGRAMS / "tasks.py"}, id="python"),
    pytest.param({"script": PROGRAMS / "tasks.py", "script_args": ["async"]}, id="asyncio"),
    pytest.param({"script": PROGRAMS / "tasks.js"}, id="node", marks=needs_node),
]
PLAIN = [
    pytest.param({"script": PROGRAMS / "plain.py", "protocol": "plain"}, id="python"),
    pytest.param({"script": PROGRAMS / "plain.js", "protocol": "plain"}, id="node", marks=needs_node),
]


@contextlib.contextmanager
def pool_of(language, workers=2, **options):
    with ProcessPool(workers, **{"min_workers": workers, **language, **options}) as pool:
        yield pool


def odd(how, workers=1, **options):
    """A pool of a script that does this wrong."""
    return pool_of({"script": PROGRAMS / "odd.js", "script_args": [how]}, workers, **options)


def reap(pids):
    """Wait for the end of processes of somebody who has ended: they have come to us, his guardian too."""

    def are_gone():
        left = set(kernel.children(os.getpid())) - pids
        return all(os.waitpid(pid, os.WNOHANG)[0] for pid in left)

    wait_until(are_gone, DEADLINE, "the end of all that it started")


def events_of(pool, *kinds):
    """A list that grows with the pool's events of these kinds."""
    found = []
    for kind in kinds:
        pool.on(kind, found.append)
    return found
