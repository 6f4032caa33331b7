"""An AppManager over processes that exist on paper only."""

from __future__ import annotations

import asyncio
import os

import msgspec
import pytest

from rookery.apps.manager import AppManager
from rookery.cluster import stats
from rookery.config.spec import AppSpec
from rookery.control.messages import ActRequest, StartRequest
from rookery.testing import FakeClock, FakeSpawner
from rookery.testing.clock import let_run


class PaperPlumbing:
    """No pipes; counts what was prepared and finished."""

    def __init__(self, wants):
        self.wants = wants
        self.prepared, self.finished = [], []
        self.page = None

    async def prepare(self, generation):
        self.wants.paths()
        self.prepared.append(generation)
        if self.wants.spec().bind:
            self.seat = await self.wants.seat()
            self.page = Page()
        return self.wants.make_spec()

    async def finish(self, generation):
        self.finished.append(generation)
        self.wants.on_end()
        self.page = None
        return ("last words",)


class Page:
    """A page of statistics on paper."""

    def __init__(self):
        self.words = [0] * stats.BUCKETS

    def read(self):
        return stats.Numbers(*(self.words[at] for at in range(stats.HEARTBEAT, stats.ACCEPTED + 1)))


class PaperKeep:
    """Who keeps descriptors; names only, and copies of the descriptors."""

    def __init__(self):
        self.fds = {}

    async def put(self, names, fds):
        self.drop(names)
        self.fds |= {name: os.dup(fd) for name, fd in zip(names, fds, strict=True)}

    async def get(self, names):
        return {name: os.dup(self.fds[name]) for name in names if name in self.fds}

    def drop(self, names):
        for name in names:
            if name in self.fds:
                os.close(self.fds.pop(name))


class PaperOutfitter:
    def __init__(self):
        self.given = {}
        self.all = []

    def outfit(self, wants):
        self.all.append(PaperPlumbing(wants))
        self.given.setdefault(wants.unit, self.all[-1])
        return self.all[-1]


class World:
    """The manager with everything around it. saves: how many processes had been started, at each save of the state."""

    def __init__(self, make=None):
        self.clock = FakeClock()
        self.spawner = FakeSpawner(make) if make else FakeSpawner()
        self.outfitter = PaperOutfitter()
        self.keep = PaperKeep()
        self.saves = []
        self.changes = 0
        self.apps = AppManager(
            self.spawner,
            self.outfitter,
            keep=self.keep,
            scope="0badcafe",
            clock=self.clock,
            log_folder="/logs",
            changed=self._changed,
            save=lambda: self.save(),  # noqa: PLW0108 - tests put another one there
        )

    def _changed(self):
        self.changes += 1

    async def save(self):
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
    world.keep.drop(list(world.keep.fds))


@pytest.fixture
def make_world():
    return World


class Shop:
    """A clustered app of two on paper, whose workers say that they are ready when the test says so."""

    def __init__(self, world):
        self.world = world

    def spec(self, **fields):
        return self.world.spec(**{"bind": ("127.0.0.1:0",), "kind": "app", "app": "shop:app", "instances": 2, **fields})

    @property
    def one(self):
        return self.world.apps.instances()

    @property
    def app(self):
        return self.world.apps.apps["web"]

    async def up(self, **fields):
        began = self.world.began(self.world.apply(self.spec(**fields), wait="ready"))
        await self.world.let_run()
        for one in self.one:
            self.says(one.copy)
        await self.world.let_run()
        await began

    def says(self, copy, **words):
        copy.plumbing.wants.on_words({"READY": "1", **words})

    async def rising(self, index=0):
        """The next one of a slot, when it has been started."""
        await self.world.let_run()
        copy = self.one[index].rising
        assert copy is not None
        assert copy.unit.pid is not None
        return copy

    async def proven(self, copy):
        """It is ready, and stays up long enough."""
        self.says(copy)
        await self.world.let_run()
        await self.world.clock.advance(1)
        await self.world.let_run()

    def process(self, copy):
        return next(one for one in self.world.spawner.processes if one.pid == copy.unit.pid)

    @property
    def told(self):
        """Signals of all processes that live or have lived, in order of their start."""
        return [process.signals for process in self.world.spawner.processes]


@pytest.fixture
async def shop(world):
    shop = Shop(world)
    await shop.up()
    return shop


@pytest.fixture
def make_shop():
    return Shop


def words(outcomes):
    return [f"{one.name}:{one.index} {one.did}" for one in outcomes]


@pytest.fixture(name="words")
def words_of():
    return words
