"""The queue of one app."""

from __future__ import annotations

import asyncio

import pytest

from rookery.apps.queue import Operations
from rookery.testing.clock import let_run


class Works:
    """Operations that wait to be let through."""

    def __init__(self):
        self.done = []
        self.gates = {}

    def __call__(self, name, error=None):
        async def work():
            gate = self.gates[name] = asyncio.Event()
            await gate.wait()
            self.done.append(name)
            if error is not None:
                raise error
            return name

        return work

    async def open_all(self):
        await let_run()
        while any(not gate.is_set() for gate in self.gates.values()):
            for gate in self.gates.values():
                gate.set()
            await let_run()


@pytest.fixture
def works():
    return Works()


async def test_one_after_the_other_in_order(works):
    operations = Operations()
    asked = [asyncio.ensure_future(operations.do(name, works(name))) for name in ("stop", "start", "stop2")]
    await let_run()
    assert list(works.gates) == ["stop"]
    assert not operations.is_idle
    await works.open_all()
    assert [await one for one in asked] == ["stop", "start", "stop2"]
    assert works.done == ["stop", "start", "stop2"]
    assert operations.is_idle


async def test_the_newest_that_waits_is_shared(works):
    operations = Operations()
    first = asyncio.ensure_future(operations.do("restart", works("first")))
    await let_run()  # it has begun: not shared
    rest = [asyncio.ensure_future(operations.do("restart", works(f"later{n}"))) for n in range(3)]
    await works.open_all()
    assert await first == "first"
    assert [await one for one in rest] == ["later0"] * 3


async def test_only_the_newest_is_shared(works):
    operations = Operations()
    running = asyncio.ensure_future(operations.do("x", works("x")))
    await let_run()
    rest = [asyncio.ensure_future(operations.do(kind, works(f"{kind}{n}"))) for n, kind in enumerate("abab")]
    await works.open_all()
    await asyncio.gather(running, *rest)
    assert works.done == ["x", "a0", "b1", "a2", "b3"]


async def test_an_error_goes_to_all_who_share_and_the_queue_goes_on(works):
    operations = Operations()
    running = asyncio.ensure_future(operations.do("x", works("x")))
    await let_run()
    failing = [asyncio.ensure_future(operations.do("f", works("f", ValueError("no")))) for _ in range(2)]
    after = asyncio.ensure_future(operations.do("y", works("y")))
    await works.open_all()
    await running
    for one in failing:
        with pytest.raises(ValueError, match="no"):
            await one
    assert await after == "y"


async def test_work_goes_on_without_its_callers(works):
    operations = Operations()
    asked = asyncio.ensure_future(operations.do("x", works("x", ValueError("nobody hears this"))))
    await let_run()
    asked.cancel()
    await works.open_all()
    assert works.done == ["x"]
    assert operations.is_idle
    again = asyncio.ensure_future(operations.do("x", works("again")))
    await works.open_all()
    assert await again == "again"


async def test_one_of_two_who_share_is_cancelled(works):
    operations = Operations()
    running = asyncio.ensure_future(operations.do("x", works("x")))
    await let_run()
    one, other = (asyncio.ensure_future(operations.do("y", works("y"))) for _ in range(2))
    await let_run()
    one.cancel()
    await works.open_all()
    await running
    assert await other == "y"
