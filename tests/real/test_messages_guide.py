"""What the guide and the example show is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_linux

pytestmark = [pytest.mark.real, needs_linux]

ROOT = Path(__file__).parents[2]
PROGRAMS = re.findall(
    r"```python\n# (\w+\.py)\n(.*?)```", (ROOT / "docs" / "guides" / "messages.md").read_text(), re.DOTALL
)


@pytest.fixture
def folder(tmp_path):
    for name, code in PROGRAMS:
        (tmp_path / name).write_text(code)
    return tmp_path


def run(command, folder):
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", *command],
        cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    # What asyncio says there of a turn that takes long says more of the machine.
    said = [line for line in ran.stderr.splitlines() if not re.fullmatch(r"Executing <.* took [0-9.]+ seconds", line)]
    assert (ran.returncode, said) == (0, [])
    return ran.stdout.splitlines()


@pytest.mark.parametrize("name", [name for name, code in PROGRAMS if "asyncio.run" in code])
def test_the_guide(name, folder):
    promised = re.findall(r"^ *print\(.*\)  # (.*)$", (folder / name).read_text(), re.MULTILINE)
    assert promised
    assert run([name], folder) == promised


def test_the_example(tmp_path):
    lines = run([str(ROOT / "examples" / "ipc" / "workers.py")], tmp_path)
    assert lines[0] == "6057 primes below 60000"
    done = [int(number) for number in re.findall(r"[0-9]+", lines[1])]
    assert sum(done) == 12
    assert min(done) > 0
    assert lines[2:] == [
        "2262 below 20000, by two of them",
        "bob: bob went away with a task underway",
        "left: ann, cid",
    ]
