"""The examples run, and the guides show what is in them."""

import re
import sys
from pathlib import Path

import pytest

from rookery import run_sync
from rookery.lifecycle import stop
from rookery.process.options import Options, RunOptions

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
SAYS = {
    "run_a_command.py": [
        "files: ['; rm -rf two.log', 'one.log']",
        "failed: True True",
        "grep found: 0",
        "too slow: timeout SIGTERM",
        "did you mean sort? True",
        "sorted: ['a', 'b']",
        "errors: 3",
        "joined: 2 [0, 0]",
    ],
    "stream_a_long_command.py": [
        "heard: step 1",
        "heard: step 2",
        "heard: step 3",
        "ended: exited with code 0",
        "answer: ping",
        "answer: pong",
        "lines: ['1', '2', '3']",
        "file: ['1', '2', '3'] 6",
        "running: True",
        "stopped by: SIGTERM",
    ],
    "leave_in_order.py": ["no new work", "the work there is gets done", "the database is closed"],
}


@pytest.mark.parametrize("name", SAYS)
def test_an_example_says_what_it_is_to_say(name):
    path = ROOT / "examples" / "commands" / name
    done = run_sync(sys.executable, path, timeout=30)
    assert done.stdout.splitlines() == SAYS[name]
    assert done.stderr == ""


def test_every_example_is_run():
    assert {path.name for path in (ROOT / "examples" / "commands").glob("*.py")} == set(SAYS)


def test_every_option_stands_in_the_reference_with_its_default():
    page = (ROOT / "docs" / "reference" / "process.md").read_text()
    told = {}
    for names, default in re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", page.partition("## Options")[2], re.MULTILINE
    ):
        told |= {name: default.strip() for name in re.findall(r"\w+", names)}
    assert set(told) >= {*RunOptions.__annotations__, "encoding"}
    for name, default in told.items():
        if default.startswith("`") and hasattr(Options, name):
            meant = eval(default.strip("`").split("`")[0], {"SIGTERM": 15})
            assert getattr(Options, name) == meant, name


def test_the_grace_periods_are_those_of_the_plan():
    page = (ROOT / "docs" / "reference" / "process.md").read_text().partition("## Seconds between")[2]
    said = [int(number) for number in re.findall(r"^\| [^|]+ \| (\d+)", page, re.MULTILINE)]
    known = [stop.GRACE_CHILD, stop.GRACE_APP, stop.GRACE_POOL_WORKER, stop.GRACE_DRAIN, stop.GRACE_SHUTDOWN]
    assert said == known
