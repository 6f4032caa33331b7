"""``via = "direct"``: log files that the app writes itself."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

from capabilities import needs_linux, needs_root
from rookery import errors
from rookery.apps.outfit import Wants
from rookery.config.spec import AppSpec, LogSpec
from rookery.daemon.manager.direct import beginning_of, empty_in_place, note_beginning, open_direct, rotate_if_due
from rookery.daemon.manager.plumbing import InstancePlumbing
from rookery.process.spec import SpawnSpec


class PaperKeeper:
    def __init__(self):
        self.kept = {}

    async def put(self, names, fds):
        self.kept |= {name: os.dup(fd) for name, fd in zip(names, fds, strict=True)}

    async def get(self, names):
        return {name: os.dup(self.kept[name]) for name in names if name in self.kept}

    def drop(self, names):
        for name in names:
            if name in self.kept:
                os.close(self.kept.pop(name))


class PaperCollector:
    """Of direct files it is told nothing but that there are some."""

    def __init__(self):
        self.direct = {}


class World:
    """Instances of one app, by unit."""

    def __init__(self, folder):
        self.logs = folder / "logs"
        self.folder = folder
        self.keeper, self.collector = PaperKeeper(), PaperCollector()
        self.spec = SpawnSpec(("/bin/x",))
        self.app = AppSpec(name="web", command=("/bin/x",), cwd="/", logs=LogSpec(via="direct", max_size=20, keep=2))
        self.names = ("web.out.log", "web.err.log")

    def plumbing(self, unit="4"):
        paths = lambda: tuple(str(self.logs / name) for name in self.names)  # noqa: E731
        wants = Wants(unit, 0, lambda: self.app, lambda: self.spec, paths, lambda _: None)
        run = str(self.folder / "run")
        return InstancePlumbing(wants, run_folder=run, keeper=self.keeper, collector=self.collector)

    def write(self, name, data):
        os.write(self.keeper.kept[name], data)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.keeper.drop(list(made.keeper.kept))


async def test_a_copy_gets_its_files(world):
    plumbing = world.plumbing()
    spec = await plumbing.prepare(1)
    assert spec.fds == {1: "log/4/1/out", 2: "log/4/1/err"}
    world.write("log/4/1/out", b"one\n")
    world.write("log/4/1/err", b"two\n")
    assert (world.logs / "web.out.log").read_text() == "one\n"
    assert stat.S_IMODE((world.logs / "web.out.log").stat().st_mode) == 0o600
    assert stat.S_IMODE(world.logs.stat().st_mode) == 0o700
    assert world.collector.direct == {"4": {str(world.logs / "web.out.log"), str(world.logs / "web.err.log")}}
    assert await plumbing.finish(1) == ("two",)
    assert (world.collector.direct, world.keeper.kept) == ({}, {})


async def test_last_words_are_this_copys_own(world):
    plumbing = world.plumbing()
    for generation, words in enumerate((["first"], [], ["a", "b"]), 1):
        await plumbing.prepare(generation)
        for word in words:
            world.write(f"log/4/{generation}/err", f"{word}\n".encode())
        assert await plumbing.finish(generation) == tuple(words)


async def test_both_streams_in_one_file(world):
    world.names = ("web.log", "web.log")
    plumbing = world.plumbing()
    await plumbing.prepare(1)
    for number in range(3):
        world.write(f"log/4/1/{'err' if number % 2 else 'out'}", b"%d\n" % number)
    assert (world.logs / "web.log").read_text() == "0\n1\n2\n"
    await plumbing.finish(1)


async def test_rotation_is_between_copies_and_only_when_nobody_else_writes(world):
    one, two = world.plumbing("4"), world.plumbing("5")
    out = world.logs / "web.out.log"
    await one.prepare(1)
    world.write("log/4/1/out", b"x" * 30)
    await two.prepare(1)  # the other one has it open
    assert not os.path.exists(f"{out}.1")
    await one.finish(1)
    await one.prepare(2)  # now this one
    assert not os.path.exists(f"{out}.1")
    await one.finish(2)
    await two.finish(1)
    await two.prepare(2)
    assert (out.stat().st_size, os.stat(f"{out}.1").st_size) == (0, 30)
    await two.finish(2)
    await two.prepare(3)  # not full again
    assert not os.path.exists(f"{out}.2")
    await two.finish(3)


async def test_a_rotation_that_is_refused_does_not_keep_the_app_down(world, caplog, monkeypatch):
    plumbing = world.plumbing()
    world.logs.mkdir()
    (world.logs / "web.out.log").write_bytes(b"x" * 30)

    def refused(*_):
        raise PermissionError("not here")

    monkeypatch.setattr(os, "rename", refused)
    await plumbing.prepare(1)
    assert "cannot be rotated" in caplog.text
    await plumbing.finish(1)


@pytest.mark.parametrize("what", ["a link", "a pipe", "a folder"])
async def test_something_else_has_its_name(world, what, tmp_path):
    world.logs.mkdir()
    path = world.logs / "web.err.log"
    make = {
        "a link": lambda: path.symlink_to(tmp_path / "else"),
        "a pipe": lambda: os.mkfifo(path),
        "a folder": path.mkdir,
    }
    make[what]()
    with pytest.raises(errors.ResourcesExhausted, match="output has nowhere to go"):
        await world.plumbing().prepare(1)
    assert not (tmp_path / "else").exists()
    assert world.collector.direct == {}


async def test_the_next_manager_goes_on(world):
    await world.plumbing().prepare(1)
    world.write("log/4/1/err", b"of copy 1\n")
    before = world.plumbing()
    await before.recover(1, 2**22 + 1)
    assert await before.finish(1) == ("of copy 1",)
    await world.plumbing().prepare(2)
    world.write("log/4/2/err", b"of copy 2\n")
    after = world.plumbing()
    await after.recover(2, 2**22 + 1)
    assert world.collector.direct["4"]
    assert await after.finish(2) == ("of copy 2",)  # where it began has been written down
    assert world.keeper.kept == {}


async def test_settings_that_were_changed_meanwhile_do_not_change_what_runs(world):
    plumbing = world.plumbing()
    await plumbing.prepare(1)
    world.write("log/4/1/err", b"word\n")
    world.app, world.names = AppSpec(name="web", command=("x",), cwd="/"), ("other.log", "other.log")
    assert await plumbing.finish(1) == ("word",)


@needs_linux
async def test_its_keeper_was_killed(world):
    await world.plumbing().prepare(1)
    out, err = (os.open(world.logs / name, os.O_WRONLY | os.O_APPEND) for name in world.names)
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=out, stderr=err) as process:  # noqa: ASYNC220
        os.close(out)
        os.close(err)
        world.keeper.drop(list(world.keeper.kept))
        plumbing = world.plumbing()
        await plumbing.recover(1, process.pid)
        assert world.collector.direct["4"]
        process.stdin.close()
    assert await plumbing.finish(1) == ()


def test_emptying_cuts_what_is_open(tmp_path):
    path = tmp_path / "web.log"
    fd = open_direct(str(path), None, None)
    os.write(fd, b"before\n")
    note_beginning(str(path), "4:1")
    (tmp_path / "web.log.1").write_text("older")
    (tmp_path / "web.log.2.gz").write_text("oldest")
    (tmp_path / "web.log.10").write_text("somebody else's")
    assert empty_in_place([str(path), str(tmp_path / "gone")]) == 3
    os.write(fd, b"after\n")
    os.close(fd)
    assert path.read_text() == "after\n"
    assert sorted(os.listdir(tmp_path)) == ["web.log", "web.log.10"]
    assert beginning_of(str(path), "4:1") == 0


def test_who_began_where(tmp_path):
    path = tmp_path / "web.log"
    assert beginning_of(str(path), "4:1") == 0
    path.write_text("12345")
    assert note_beginning(str(path), "4:1") == 5
    path.write_text("1234567")
    assert note_beginning(str(path), "4:2") == 7
    assert (beginning_of(str(path), "4:1"), beginning_of(str(path), "4:2")) == (0, 7)
    path.rename(tmp_path / "moved")
    path.write_text("another file")
    assert beginning_of(str(path), "4:2") == 0


@pytest.mark.parametrize(("size", "rotates"), [(19, False), (20, True)])
def test_when_it_is_due(tmp_path, size, rotates):
    path = tmp_path / "web.log"
    rotate_if_due(str(path), 20, 2)
    path.write_bytes(b"x" * size)
    rotate_if_due(str(path), 20, 2)
    assert path.exists() != rotates
    assert (tmp_path / "web.log.1").exists() == rotates


@needs_root
def test_the_file_belongs_to_the_apps_user(tmp_path):
    fd = open_direct(str(tmp_path / "web.log"), 12345, 54321)
    assert (os.fstat(fd).st_uid, os.fstat(fd).st_gid) == (12345, 54321)
    os.close(fd)
