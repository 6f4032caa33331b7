"""The guide shows the examples as they are, and what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_node
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(4 * DEADLINE)]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "workers"
GUIDE = (ROOT / "docs" / "guides" / "workers.md").read_text()
SHOWN = dict(re.findall(r"`examples/workers/([^`]+)`:\n\n```\w+\n(.*?)```", GUIDE, re.DOTALL))
SAID = re.findall(r"```console\n\$ (\S+) examples/workers/(\S+)([^\n]*)\n(.*?)```", GUIDE, re.DOTALL)


def test_the_guide_shows_every_example_as_it_is():
    there = {path.name: path.read_text() for path in EXAMPLES.iterdir() if path.is_file()}
    assert there == SHOWN
    assert len(SAID) == 7


@pytest.mark.parametrize(
    ("command", "name", "rest", "promised"),
    [pytest.param(*row, id=row[1], marks=[needs_node] if "node" in row[1] else []) for row in SAID],
)
def test_what_they_say(command, name, rest, promised, tmp_path):
    ours = set(kernel.children(os.getpid()))
    program = sys.executable if command == "python" else command
    words = [sys.executable if word == "python" else word for word in rest.split()]
    ran = subprocess.run(
        [program, EXAMPLES / name, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=3 * DEADLINE,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == promised

    def has_gone():
        """Their guardian ends after them, and comes to us then."""
        left = set(kernel.children(os.getpid())) - ours
        return all(os.waitpid(pid, os.WNOHANG)[0] for pid in left)

    wait_until(has_gone, DEADLINE, "the end of all that it started")
