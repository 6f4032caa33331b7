"""The guide to pools shows the examples as they are, and what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from guides import run_example

from capabilities import DEADLINE

pytestmark = [pytest.mark.real, pytest.mark.timeout(4 * DEADLINE)]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "pools"
GUIDE = (ROOT / "docs" / "guides" / "pools.md").read_text()
SHOWN = dict(re.findall(r"`examples/pools/([^`]+)`:\n\n```\w+\n(.*?)```", GUIDE, re.DOTALL))
SAID = dict(re.findall(r"```console\n\$ python examples/pools/(\S+)\n(.*?)```", GUIDE, re.DOTALL))


def test_the_guide_shows_its_examples_as_they_are():
    assert {name: (EXAMPLES / name).read_text() for name in SHOWN} == SHOWN
    assert len(SHOWN) == len(SAID) == 4


@pytest.mark.parametrize("name", sorted(SAID))
def test_what_they_say(name, tmp_path):
    ran = run_example(EXAMPLES / name, cwd=tmp_path)
    assert (ran.stdout, ran.returncode) == (SAID[name], 0), ran.stderr
