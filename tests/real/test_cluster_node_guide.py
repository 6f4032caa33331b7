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

pytestmark = [pytest.mark.real, needs_node, pytest.mark.timeout(4 * DEADLINE)]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "node-cluster"
GUIDE = (ROOT / "docs" / "guides" / "node-cluster.md").read_text()
SHOWN = dict(re.findall(r"`examples/node-cluster/([^`]+)`:\n\n```\w+\n(.*?)```", GUIDE, re.DOTALL))
SAID = re.findall(r"```console\n\$ python examples/node-cluster/(\S+)\n(.*?)```", GUIDE, re.DOTALL)


def test_the_guide_shows_every_example_as_it_is():
    there = {path.name: path.read_text() for path in EXAMPLES.iterdir() if path.is_file()}
    assert there == SHOWN
    assert len(SAID) == 4


@pytest.mark.parametrize(("name", "promised"), [pytest.param(*row, id=row[0]) for row in SAID])
def test_what_they_say(name, promised, tmp_path):
    ours = set(kernel.children(os.getpid()))
    command = [sys.executable, EXAMPLES / name]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3 * DEADLINE, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == promised
    assert ("MODULE_NOT_FOUND" in ran.stderr) if name == "fails.py" else ran.stderr == ""

    def has_gone():
        """Their guardian ends after them, and comes to us then."""
        left = set(kernel.children(os.getpid())) - ours
        return all(os.waitpid(pid, os.WNOHANG)[0] for pid in left)

    wait_until(has_gone, DEADLINE, "the end of all that it started")
