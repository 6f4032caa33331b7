"""The guide to script workers shows the examples as they are, and what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from script_pools import reap

from capabilities import DEADLINE, needs_node
from rookery._os import kernel
from rookery.pool.scripts import words as script_words

pytestmark = [pytest.mark.real, needs_node, pytest.mark.timeout(4 * DEADLINE)]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "script_workers"
GUIDE = (ROOT / "docs" / "guides" / "script-workers.md").read_text()
REFERENCE = (ROOT / "docs" / "reference" / "script-workers.md").read_text()
SHOWN = dict(re.findall(r"`examples/script_workers/([^`]+)`:\n\n```\w+\n(.*?)```", GUIDE, re.DOTALL))
SAID = re.findall(r"```console\n\$ python examples/script_workers/(\S+)\n(.*?)```", GUIDE, re.DOTALL)


def test_the_guide_shows_every_example_as_it_is():
    assert {path.name: path.read_text() for path in EXAMPLES.iterdir() if path.is_file()} == SHOWN
    assert len(SAID) == 3


@pytest.mark.parametrize(("name", "promised"), SAID, ids=[name for name, _ in SAID])
def test_what_they_say(name, promised, tmp_path):
    ours = set(kernel.children(os.getpid()))
    ran = subprocess.run(
        [sys.executable, EXAMPLES / name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=3 * DEADLINE,
        check=False,
    )
    reap(ours)
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", promised)


def test_the_reference_has_every_message():
    words = [value for name, value in vars(script_words).items() if name.isupper() and isinstance(value, str)]
    assert len(words) == 7
    assert all(f'"type": "{word}"' in REFERENCE for word in words)
