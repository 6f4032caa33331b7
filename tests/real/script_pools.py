"""Pools of the scripts in programs/pool, in Python and in Node."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from capabilities import needs_node
from rookery.pool import ProcessPool

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


def events_of(pool, *kinds):
    """A list that grows with the pool's events of these kinds."""
    found = []
    for kind in kinds:
        pool.on(kind, found.append)
    return found
