"""The state file: whole at any time, and readable for ever."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import threading
from pathlib import Path

import msgspec
import pytest

from rookery import errors
from rookery.apps.state import SavedState
from rookery.config.spec import LogSpec
from rookery.daemon.manager import store as module
from rookery.daemon.manager.store import Store, load, write
from rookery.testing.clock import let_run

SAMPLES = Path(__file__).parent / "data"


def state(next_id=0):
    return SavedState(scope="0badcafe", boot_id="b", epoch=1, next_id=next_id, saved_at=1.0)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state.json")


class Written:
    """Stands in for write(): counts, and may fail."""

    def __init__(self, monkeypatch):
        self.states, self.error, self.failures = [], None, 0
        self.real = write
        monkeypatch.setattr(module, "write", self)

    def __call__(self, path, data):
        if self.error is not None:
            self.failures += 1
            raise self.error
        self.states.append(json.loads(data)["next_id"])
        self.real(path, data)


@pytest.fixture
def written(monkeypatch):
    return Written(monkeypatch)


class Counter:
    """A state that changes; may_write and saved beside it."""

    def __init__(self):
        self.value, self.saved, self.may_write = 0, [], True

    def store(self, path, *, release=True):
        store = Store(
            path,
            lambda: state(self.value),
            saved=lambda: self.saved.append(self.value),
            may_write=lambda: self.may_write,
        )
        if release:
            store.release()
        return store


class Told(list):
    """Sets an event when something is added."""

    def __init__(self, event):
        super().__init__()
        self.event = event

    def append(self, value):
        super().append(value)
        self.event.set()


@pytest.fixture
def counter():
    return Counter()


def test_a_write_replaces_the_file_and_keeps_the_one_before(path):
    for number in range(3):
        write(path, b"%d" % number)
    assert Path(path).read_bytes() == b"2"
    assert Path(f"{path}.bak").read_bytes() == b"1"
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert sorted(os.listdir(os.path.dirname(path))) == ["state.json", "state.json.bak"]


@pytest.mark.parametrize("left", ["state.json.new", "state.json.bak.new"])
def test_what_an_interrupted_write_left_is_in_nobodys_way(path, left):
    write(path, b"1")
    Path(os.path.dirname(path), left).write_text("half")
    write(path, b"2")
    write(path, b"3")
    assert Path(path).read_bytes() == b"3"
    assert Path(f"{path}.bak").read_bytes() == b"2"


def test_a_link_in_the_way_is_not_followed(path, tmp_path):
    (tmp_path / "victim").write_text("precious")
    os.symlink(tmp_path / "victim", f"{path}.new")
    with pytest.raises(OSError, match="Too many levels"):
        write(path, b"1")
    assert (tmp_path / "victim").read_text() == "precious"


async def test_changes_within_50_ms_go_together(path, counter, written):
    store = counter.store(path)
    for number in range(20):
        counter.value = number
        store.changed()
        await asyncio.sleep(0)
    assert written.states == []
    await store.close()
    assert written.states == [19]


async def test_saving_means_on_disk(path, counter, written):
    store = counter.store(path)
    counter.value = 5
    store.changed()
    await store.save()
    assert load(path).next_id == 5
    assert counter.saved == [5]
    await store.save()  # nothing has changed
    assert written.states == [5]
    await store.close()


async def test_a_change_during_a_write_is_written_too(path, counter, monkeypatch):
    entered, gate = threading.Event(), threading.Event()
    values = []

    def slow(_, data):
        values.append(json.loads(data)["next_id"])
        entered.set()
        assert gate.wait(10)

    monkeypatch.setattr(module, "write", slow)
    store = counter.store(path)
    first = asyncio.ensure_future(store.save())
    await asyncio.to_thread(entered.wait, 10)
    counter.value = 1
    store.changed()
    second = asyncio.ensure_future(store.save())
    first.cancel()  # the write goes on: two at once would write into one file
    for _ in range(3):
        await let_run()
        await asyncio.to_thread(lambda: None)  # behind whatever has been given to the threads
    assert values == [0]
    gate.set()
    await second
    assert values == [0, 1]
    await store.close()


async def test_many_who_save_at_once_share_a_write(path, counter, monkeypatch):
    """Though what follows from the first one's save changes the state again."""
    values = []
    monkeypatch.setattr(module, "write", lambda _, data: values.append(json.loads(data)["next_id"]))
    store = counter.store(path)

    async def start():
        store.changed()
        await store.save()
        counter.value += 1
        store.changed()

    await asyncio.gather(*(start() for _ in range(50)))
    assert values == [0]
    await store.save()
    assert values == [0, 50]
    await store.close()


async def test_what_takes_long_is_written_seldom_but_saved_at_once(path, counter, monkeypatch):
    took, values = 0.2, []

    def slow(_, data):
        values.append(json.loads(data)["next_id"])
        threading.Event().wait(took)

    monkeypatch.setattr(module, "write", slow)
    delays = []
    store = counter.store(path)
    monkeypatch.setattr(store, "_plan", delays.append)
    await store.save()
    counter.value = 1
    store.changed()
    rest = delays.pop()
    assert took * 4 <= rest <= 2.0
    took = 0.0
    await store.save()
    assert values == [0, 1]
    store.changed()
    assert 0.05 <= delays.pop() < rest
    await store.close()


async def test_nothing_is_written_before_the_state_is_complete(path, counter, written):
    store = counter.store(path, release=False)
    store.changed()
    await store.save()
    assert written.states == []
    store.release()
    await store.save()
    assert written.states == [0]
    await store.close()


async def test_nothing_is_written_once_another_has_the_lease(path, counter, written):
    store = counter.store(path)
    counter.may_write = False
    await store.save()
    await store.close()
    assert written.states == []


async def test_nothing_is_written_after_the_end(path, counter, written):
    store = counter.store(path)
    await store.close()
    counter.value = 7
    store.changed()
    await store.save()
    assert written.states == [0]


async def test_a_full_disk_leaves_the_last_state_whole_and_is_tried_again(path, counter, written, monkeypatch, caplog):
    monkeypatch.setattr(module, "_RETRY", 0.01)
    store = counter.store(path)
    counter.value = 1
    await store.save()
    counter.value = 2
    written.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    store.changed()
    with caplog.at_level(logging.ERROR):
        await store.save()
        await store.save()
    assert "No space left" in store.problem
    assert len(caplog.records) == 1  # said once, however often it is tried
    assert load(path).next_id == 1
    assert counter.saved == [1]
    async with asyncio.timeout(10):
        while written.failures < 5:  # noqa: ASYNC110 - by itself: nobody asks again, and nobody tells
            await asyncio.sleep(0.001)
    written.error = None
    saved = asyncio.Event()
    counter.saved = Told(saved)
    await asyncio.wait_for(saved.wait(), 10)
    assert load(path).next_id == 2
    await store.close()


def test_the_disk_is_full_in_the_middle_of_a_write(path, monkeypatch):
    write(path, b'{"whole": true}')

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, b'{"whole": false}')
    assert Path(path).read_text() == '{"whole": true}'


def test_there_is_none(path):
    assert load(path) is None


@pytest.mark.parametrize(
    "damage",
    [
        b'{"version": 1, "scope": "\xff"}',
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"version": 1}',
        b'{"version": 1, "apps": 7}',
    ],
)
def test_a_damaged_file_is_set_aside_and_the_one_before_is_taken(path, damage, caplog):
    for number in (1, 2):
        write(path, msgspec.json.encode(state(number)))
    Path(path).write_bytes(damage)
    with caplog.at_level(logging.ERROR):
        assert load(path).next_id == 1
    assert "cannot be read" in caplog.text
    (aside,) = [name for name in os.listdir(os.path.dirname(path)) if "unreadable" in name]
    assert Path(os.path.dirname(path), aside).read_bytes() == damage
    write(path, msgspec.json.encode(state(3)))
    assert load(path).next_id == 3


def test_both_damaged(path):
    for name in (path, f"{path}.bak"):
        Path(name).write_text("{")
    assert load(path) is None
    assert len(os.listdir(os.path.dirname(path))) == 2


def test_only_the_one_before_is_left(path):
    Path(f"{path}.bak").write_bytes(msgspec.json.encode(state(4)))
    assert load(path).next_id == 4


def test_a_later_version_is_refused_and_left_alone(path):
    text = '{"version": 2, "what": "ever"}'
    Path(path).write_text(text)
    Path(f"{path}.bak").write_bytes(msgspec.json.encode(state(4)))
    with pytest.raises(errors.ConfigError, match="version 2") as caught:
        load(path)
    assert caught.value.file == path
    assert "newer rookery" in caught.value.hint
    assert Path(path).read_text() == text


def test_the_sample_of_version_1_loads_for_ever(path):
    Path(path).write_bytes((SAMPLES / "state-v1.json").read_bytes())  # what cannot be read is moved aside
    sample = load(path)
    web, worker = sample.apps
    assert (sample.scope, sample.epoch, sample.next_id, sample.leaving) == ("0badcafe", 12, 4, None)
    assert (web.name, web.held, web.desired, web.base_env) == ("web", False, "running", {"PATH": "/usr/bin"})
    assert (web.spec.command, web.spec.instances, web.spec.logs.merge) == (("/usr/bin/python3", "web.py"), 2, "streams")
    assert (worker.spec.max_restarts.count, worker.spec.limits.memory, worker.spec.user) == (5, 1048576, "nobody")
    assert [(one.id, one.pid, one.start_time, one.state) for one in sample.instances] == [
        (0, 4711, 123456, "running"),
        (1, None, None, "backoff"),
        (3, None, None, "stopped"),
    ]
    last = sample.instances[1].last_exit
    assert (last.code, last.signal, last.reason, last.stderr) == (None, "SIGKILL", "killed by SIGKILL", ("bye",))


def test_how_logs_are_written_is_kept_for_ever(path):
    Path(path).write_bytes((SAMPLES / "state-v1-logs.json").read_bytes())
    (web,) = load(path).apps
    assert web.spec.logs == LogSpec(
        merge="all",
        max_size=1048576,
        keep=30,
        timestamps="HH:mm:ss.SSS",
        prefix=True,
        combined=True,
        rotate="daily",
        compress=True,
        on_full="block",
    )


def test_what_later_versions_may_add_beside_is_ignored(path):
    plain = json.loads((SAMPLES / "state-v1.json").read_text())
    plain["later"] = plain["instances"][0]["later"] = plain["apps"][0]["later"] = {"x": 1}
    Path(path).write_text(json.dumps(plain))
    assert load(path).next_id == 4
