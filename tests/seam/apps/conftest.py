"""An AppManager over processes that exist on paper only."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from rookery.apps.manager import AppManager
from rookery.config.spec import AppSpec
from rookery.control.messages import ActRequest, StartRequest
from rookery.testing import FakeClock, FakeSpawner
from rookery.testing.clock import let_run


class PaperPlumbing:
    """No pipes; counts what was prepared and finished."""

    def __init__(self, make_spec, paths):
        self.make_spec, self.paths = make_spec, paths
        self.prepared, self.finished = [], []

    async def prepare(self, generation):
        self.paths()
        self.prepared.append(generation)
        return self.make_spec()

    async def finish(self, generation):
        self.finished.append(generation)
        return ("last words",)


class PaperOutfitter:
    def __init__(self):
        self.given = {}

    def outfit(self, unit, make_spec, *, index, spec, paths, on_words):
        self.given[unit] = PaperPlumbing(make_spec, paths)
        return self.given[unit]


class World:
    """The manager with everything around it. saves: how many processes had been started, at each save of the state."""

    def __init__(self, make=None):
        self.clock = FakeClock()
        self.spawner = FakeSpawner(make) if make else FakeSpawner()
        self.outfitter = PaperOutfitter()
        self.saves = []
        self.changes = 0
        self.apps = AppManager(
            self.spawner,
            self.outfitter,
            scope="0badcafe",
            clock=self.clock,
            log_folder="/logs",
            changed=self._changed,
            save=self._save,
        )

    def _changed(self):
        self.changes += 1

    async def _save(self):
        self.saves.append(len(self.spawner.started))

    def spec(self, name="web", **fields):
        return AppSpec(**{"name": name, "command": ("/bin/x",), "cwd": "/", "min_uptime": 1.0, **fields})

    def applying(self, *specs, wait="started", timeout=30.0, env=None):
        raws = [msgspec.Raw(msgspec.json.encode(spec)) for spec in specs]
        return self.apps.apply(StartRequest(specs=raws, base_env=env or {}, wait=wait, timeout=timeout))

    async def apply(self, *specs, **options):
        return (await self.applying(*specs, **options)).outcomes

    def acting(self, verb, *selectors, wait="started", timeout=30.0):
        return self.apps.act(verb, ActRequest(selectors=list(selectors), wait=wait, timeout=timeout))

    async def act(self, verb, *selectors, **options):
        return (await self.acting(verb, *selectors, **options)).outcomes

    def began(self, coroutine):
        """The task for it, after everything that can happen at once has happened."""
        return asyncio.ensure_future(coroutine)

    @property
    def states(self):
        return {f"{one.app.spec.name}:{one.index}": str(one.unit.state) for one in self.apps.instances()}

    @property
    def alive(self):
        """Keys of what runs, in the order of the starts."""
        pairs = zip(self.spawner.started, self.spawner.processes, strict=True)
        return [key for (_, key, _), process in pairs if process.is_alive]

    def process(self, selector):
        """The process of an instance."""
        (one,) = self.apps.instances([selector])
        return next(process for process in self.spawner.processes if process.pid == one.unit.pid)

    async def let_run(self):
        await let_run()


@pytest.fixture
async def world():
    world = World()
    yield world
    await world.apps.close()


@pytest.fixture
def make_world():
    return World


def words(outcomes):
    return [f"{one.name}:{one.index} {one.did}" for one in outcomes]


@pytest.fixture(name="words")
def words_of():
    return words
