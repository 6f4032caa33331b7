from __future__ import annotations

import asyncio

import pytest

from rookery.process.spec import SpawnSpec
from rookery.supervise.plumbing import PlainPlumbing
from rookery.supervise.unit import Unit
from rookery.testing import FakeClock, FakeProcess, FakeSpawner
from rookery.testing.clock import let_run

SCOPE = "0123abcd"
SPEC = SpawnSpec(("prog",), env={"A": "1"})


class RecordingPlumbing(PlainPlumbing):
    """PlainPlumbing that writes down what it was asked, and fails when told to."""

    def __init__(self, spec=SPEC):
        super().__init__(spec)
        self.calls = []
        self.finish_fails = None
        self.words = ()

    async def prepare(self, generation):
        self.calls.append(("prepare", generation))
        await asyncio.sleep(0)
        return await super().prepare(generation)

    async def finish(self, generation):
        self.calls.append(("finish", generation))
        await asyncio.sleep(0)
        if self.finish_fails is not None:
            raise self.finish_fails
        return self.words


class CountingSpawner(FakeSpawner):
    """FakeSpawner that knows the most processes that were ever alive at once."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.most_alive = 0

    async def spawn(self, spec, key, generation):
        try:
            return await super().spawn(spec, key, generation)
        finally:
            self.most_alive = max(self.most_alive, len(self.alive))


class Stage:
    """One unit with everything around it, and its events as words."""

    def __init__(self):
        self.clock = FakeClock()
        self.made = {}
        self.spawner = CountingSpawner(lambda: FakeProcess(**self.made))
        self.plumbing = RecordingPlumbing()
        self.events = []
        self.units = []

    def unit(self, **options):
        unit = Unit(
            "web",
            self.plumbing,
            self.spawner,
            scope=SCOPE,
            clock=self.clock,
            on_event=self.events.append,
            random=lambda: 1.0,
            **options,
        )
        self.units.append(unit)
        return unit

    @property
    def story(self):
        """The states since the last time it was asked."""
        story = [str(event.after) for event in self.events]
        self.events.clear()
        return story

    async def crash(self, *, after=0.0, code=1):
        """The process ends by itself after so many seconds; everything that follows at once has happened."""
        await self.clock.advance(after)
        self.spawner.last.exits(code)
        await let_run()


@pytest.fixture
async def stage():
    stage = Stage()
    yield stage
    for unit in stage.units:
        await unit.close()
    assert stage.clock.sleepers == 0, "a timer outlived close()"
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not [task for task in left if "Unit." in repr(task)], left
