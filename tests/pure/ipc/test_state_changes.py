"""Watching a file: from the kernel, or by looking from time to time."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import aclosing

import pytest

from rookery import StateFile
from rookery._os import features, inotify
from rookery.errors import FileDamaged
from rookery.testing import FakeClock
from rookery.testing.clock import let_run


@pytest.fixture(params=["", "inotify"], ids=["inotify", "polling"])
def way(request, monkeypatch):
    monkeypatch.setenv(features.WITHOUT, request.param)
    features.forget()
    assert inotify.available() == (not request.param)
    yield request.param
    features.forget()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.json"


async def following(changes):
    return await asyncio.wait_for(anext(changes), 20)


async def test_each_new_value(way, path):
    file = StateFile(path, default="none")
    async with aclosing(file.changes(poll=0.01)) as changes:
        file.write(1)
        assert await following(changes) == 1
        waiting = asyncio.create_task(following(changes))
        await let_run()
        file.write(1)  # the same again is no change
        (path.parent / "other").write_text("x")
        file.write(2)
        assert await waiting == 2
        file.write(3)
        file.write(4)
        assert await following(changes) == 4
        path.write_text("5")  # in place, by somebody who knows no better
        assert await following(changes) == 5
        path.unlink()
        assert await following(changes) == "none"


async def test_a_change_between_the_call_and_the_first_look(way, path):
    file = StateFile(path)
    file.write(1)
    async with aclosing(file.changes(poll=0.01)) as changes:
        file.write(2)
        assert await following(changes) == 2


async def test_a_folder_that_comes_and_goes(way, tmp_path):
    folder = tmp_path / "later"
    file = StateFile(folder / "state.json")
    async with aclosing(file.changes(poll=0.01)) as changes:
        waiting = asyncio.create_task(following(changes))
        await let_run()
        folder.mkdir()
        file.write(1)
        assert await waiting == 1
        waiting = asyncio.create_task(following(changes))
        await let_run()
        shutil.rmtree(folder)
        assert await waiting is None
        waiting = asyncio.create_task(following(changes))
        await let_run()
        folder.mkdir()
        file.write(2)
        assert await waiting == 2


async def test_damage_is_told(way, path):
    async with aclosing(StateFile(path).changes(poll=0.01)) as changes:
        path.write_text("{")
        with pytest.raises(FileDamaged):
            await following(changes)


async def test_a_cancelled_watch_closes_its_descriptor(way, path):
    waiting = asyncio.create_task(following(StateFile(path).changes(poll=100)))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_how_often_it_looks(path, monkeypatch):
    monkeypatch.setattr(inotify, "available", lambda: False)
    clock, file = FakeClock(), StateFile(path)
    async with aclosing(file.changes(poll=5, clock=clock)) as changes:
        waiting = asyncio.create_task(anext(changes))
        await clock.advance(1)
        path.write_text("1")
        await clock.advance(3.9)
        assert not waiting.done()
        await clock.advance(0.2)
        assert await waiting == 1


def test_many_names_and_more_than_fit(tmp_path):
    fd = inotify.watch(str(tmp_path))
    for number in range(2000):
        (tmp_path / f"{number:04}-{'x' * 100}").touch()
    assert len(inotify.names(fd) or ()) == 2000
    assert inotify.names(fd) == set()
    os.rmdir(shutil.rmtree(tmp_path) or os.makedirs(tmp_path) or tmp_path)
    with pytest.raises(inotify.FolderGone):
        inotify.names(fd)
    os.close(fd)
    tmp_path.mkdir()


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        inotify.watch(str(tmp_path / "none"))
