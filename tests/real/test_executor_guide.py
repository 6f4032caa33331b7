"""The guide from ProcessPoolExecutor shows its examples as they are, and what they say; the reference is complete."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest
from guides import run_example

from capabilities import DEADLINE
from rookery import ProcessPool
from rookery.errors import PoolError
from rookery.pool.calls import TaskOptions
from rookery.pool.rules.events import KINDS
from rookery.pool.rules.status import PoolStatus, TaskCounts, WorkerCounts, WorkerStatus

pytestmark = [pytest.mark.real, pytest.mark.timeout(4 * DEADLINE)]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "replace_executor"
GUIDE = (ROOT / "docs" / "guides" / "replace-processpoolexecutor.md").read_text()
REFERENCE = (ROOT / "docs" / "reference" / "process-pool.md").read_text()
SHOWN = dict(re.findall(r"`examples/replace_executor/([^`]+)`:\n\n```\w+\n(.*?)```", GUIDE, re.DOTALL))
SAID = dict(re.findall(r"```console\n\$ python examples/replace_executor/(\S+)\n(.*?)```", GUIDE, re.DOTALL))


def test_the_guide_shows_every_example_as_it_is():
    assert {path.name: path.read_text() for path in EXAMPLES.glob("*.py")} == SHOWN
    assert SHOWN.keys() == SAID.keys()


@pytest.mark.parametrize("name", sorted(SAID))
def test_what_they_say(name, tmp_path):
    ran = run_example(EXAMPLES / name, cwd=tmp_path)
    assert (ran.stdout, ran.returncode) == (SAID[name], 0), ran.stderr


def names():
    yield from (name for name in inspect.signature(ProcessPool).parameters if name not in ("how", "script"))
    scripts_own = ("output", "ask_status", "asked_status")
    yield from (name for name in dir(ProcessPool) if not name.startswith("_") and name not in scripts_own)
    yield from (
        field.name
        for kind in (PoolStatus, TaskCounts, WorkerCounts, WorkerStatus, TaskOptions)
        for field in fields(kind)
    )
    yield from KINDS
    yield from (kind.__name__ for kind in PoolError.__subclasses__() if kind.__module__.startswith("rookery.errors"))


def test_the_reference_names_everything():
    missing = [name for name in names() if not re.search(rf"`(await )?{name}\b", REFERENCE)]
    assert missing == []
