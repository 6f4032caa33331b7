"""The guide shows the examples as they are, and what they say."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from guides import run_example, wait_for_the_rest
from passed import Client, ask_once, running, until

from capabilities import DEADLINE
from rookery._os import kernel
from rookery.cluster.acceptor.choice import Worker

pytestmark = [pytest.mark.real, pytest.mark.timeout(4 * DEADLINE)]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "least-connections"
GUIDE = (ROOT / "docs" / "guides" / "least-connections.md").read_text()
SHOWN = dict(re.findall(r"`examples/least-connections/([^`]+)`:\n\n```python\n(.*?)```", GUIDE, re.DOTALL))


def test_the_guide_shows_every_example_as_it_is():
    assert {path.name: path.read_text() for path in EXAMPLES.iterdir() if path.is_file()} == SHOWN


def test_what_comparing_says(tmp_path):
    ((name, promised),) = re.findall(
        r"```console\n\$ python examples/least-connections/(\S+)\n(.*?)```", GUIDE, re.DOTALL
    )
    ran = run_example(EXAMPLES / name, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == promised


async def test_serving_as_the_guide_does(tmp_path):
    for name, text in SHOWN.items():
        place = 'bind=":8000"'
        assert (name in ("serve.py", "by_hand.py")) == (place in text)
        (tmp_path / name).write_text(text.replace(place, f"bind='unix:{tmp_path / name}.socket'"))
    ours = set(kernel.children(os.getpid()))
    for name in ("serve.py", "by_hand.py"):
        place = tmp_path / f"{name}.socket"
        process = await asyncio.create_subprocess_exec(sys.executable, str(tmp_path / name), cwd=tmp_path)
        try:
            await until(place.exists, "its listening")
            async with Client(f"unix:{place}") as client:
                assert await client.ask() in range(4)
        finally:
            process.terminate()
            assert await process.wait() == 0
    await asyncio.to_thread(wait_for_the_rest, ours)


async def test_choosing_by_hand(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import by_hand

    rows = [Worker(slot, slot, connections, 0) for slot, connections in enumerate([9, 3, 2, 4])]
    assert by_hand.choose(("10.1.2.3", 5), rows) == 0
    assert by_hand.choose(("192.0.2.1", 5), rows) == 2
    assert by_hand.choose("", rows[:1]) == 0
    async with running(by_hand.choose, workers=3) as cluster:
        found = await asyncio.gather(*(ask_once(cluster.addresses[0]) for _ in range(10)))
        assert 0 not in {answer["slot"] for answer in found}
    sys.modules.pop("by_hand")
