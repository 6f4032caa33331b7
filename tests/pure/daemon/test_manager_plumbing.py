"""The pipes of one copy."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from contextlib import nullcontext

import msgspec
import pytest

from capabilities import needs_root
from rookery import errors
from rookery.apps.outfit import Seat, Wants
from rookery.cluster.launch import Recipe
from rookery.cluster.settings import Settings
from rookery.config.spec import AppSpec, LogSpec, ReadinessSpec
from rookery.daemon.manager import last_words as module
from rookery.daemon.manager import plumbing
from rookery.daemon.manager.log_settings import stream_settings
from rookery.daemon.manager.pipes import make_pipe
from rookery.daemon.manager.plumbing import InstancePlumbing
from rookery.process.spec import SpawnSpec


class PaperKeeper:
    scope = "0badcafe"

    def __init__(self):
        self.kept, self.dropped, self.error = {}, [], None

    async def put(self, names, fds):
        if self.error:
            raise self.error
        self.kept |= {name: os.dup(fd) for name, fd in zip(names, fds, strict=True)}

    async def get(self, names):
        return {name: os.dup(self.kept[name]) for name in names if name in self.kept}

    def drop(self, names):
        self.dropped += names
        for name in names:
            if name in self.kept:
                os.close(self.kept.pop(name))


class PaperCollector:
    def __init__(self):
        self.opened, self.offsets, self.error, self.direct = {}, {}, None, {}

    def note(self, pipes):
        self.opened[pipes.unit, pipes.generation] = pipes

    async def open(self, pipes):
        self.note(pipes)
        if self.error:
            raise self.error

    async def close_pipes(self, unit, generation):
        pipes = self.opened.pop((unit, generation), None)
        if pipes:
            os.close(pipes.out)
            os.close(pipes.err)
        return self.offsets


class Set:
    def __init__(self, folder):
        self.folder = folder
        self.keeper, self.collector = PaperKeeper(), PaperCollector()
        self.spec = SpawnSpec(("/bin/x",))
        self.app = AppSpec(name="web", command=("/bin/x",), cwd="/", logs=LogSpec(max_size=5, keep=2, timestamps=True))
        self.words = []
        self.plumbing = InstancePlumbing(
            Wants(
                "4",
                1,
                lambda: self.app,
                lambda: self.spec,
                lambda: (str(folder / "web.out.log"), str(folder / "web.err.log")),
                self.words.append,
            ),
            run_folder=str(folder / "run"),
            keeper=self.keeper,
            collector=self.collector,
        )

    async def close(self):
        for unit, generation in list(self.collector.opened):
            await self.collector.close_pipes(unit, generation)
        self.keeper.drop(list(self.keeper.kept))


@pytest.fixture
async def set_(tmp_path):
    made = Set(tmp_path)
    yield made
    await made.close()


async def test_preparing_and_finishing(set_, tmp_path):
    spec = await set_.plumbing.prepare(3)
    assert spec.fds == {1: "log/4/3/out", 2: "log/4/3/err"}
    assert set(set_.keeper.kept) == {"log/4/3/out", "log/4/3/err"}
    pipes = set_.collector.opened["4", 3]
    assert pipes.streams["err"] == {
        "path": str(tmp_path / "web.err.log"),
        "max_size": 5,
        "keep": 2,
        "timestamps": True,
        "rotate": "never",
        "compress": False,
        "on_full": "drop",
        "combined": "",
        "format": {
            "timestamps": "iso",
            "prefix": "",
            "json": False,
            "app": "web",
            "instance": 1,
            "stream": "err",
        },
    }
    assert stat.S_ISFIFO(os.fstat(pipes.out).st_mode)
    assert os.listdir(tmp_path / "run") == []  # without a name from birth
    os.write(pipes.out, b"never an EPIPE")
    assert await set_.plumbing.finish(3) == ()
    assert set_.keeper.kept == {}


async def test_last_words_are_this_copys_own(set_, tmp_path):
    log = tmp_path / "web.err.log"
    log.write_text("of the copy before\n")
    await set_.plumbing.prepare(3)
    log.write_text("of the copy before\n" + "".join(f"line {n}\n" for n in range(12)) + "x" * 600)
    set_.collector.offsets = {"err": [str(log), log.stat().st_size]}
    words = await set_.plumbing.finish(3)
    assert words == (*(f"line {n}" for n in range(3, 12)), "x" * 500)


@pytest.mark.parametrize(
    ("logs", "stream", "made"),
    [
        (LogSpec(), {}, {}),
        (LogSpec(timestamps="HH:mm"), {"timestamps": True}, {"timestamps": "HH:mm"}),
        (LogSpec(prefix=True), {}, {"prefix": "web:1 | "}),
        (LogSpec(json=True), {}, {"json": True}),
        (LogSpec(combined=True), {"combined": "/l/web.combined.log"}, {}),
        (LogSpec(rotate="weekly", compress=True), {"rotate": "weekly", "compress": True}, {}),
        (LogSpec(on_full="block"), {"on_full": "block"}, {}),
    ],
)
def test_the_collector_is_told_how_lines_are_made(logs, stream, made):
    app = AppSpec(name="web", command=("x",), cwd="/", logs=logs)
    plain = stream_settings(app, 1, ("/l/o", "/l/e"))["out"]
    form = {"timestamps": "", "prefix": "", "json": False, "app": "web", "instance": 1, "stream": "out", **made}
    usual = {"path": "/l/o", "max_size": logs.max_size, "keep": 7, "timestamps": False, "rotate": "never"}
    usual |= {"compress": False, "on_full": "drop", "combined": ""}
    assert plain == {**usual, **stream, "format": form}


@pytest.mark.parametrize("is_recovered", [False, True])
@pytest.mark.parametrize(
    ("told", "words"),
    [
        (lambda size, before: [size, before], ["mine"]),
        (lambda size, before: [size, 0], None),
        (lambda size, before: [size], None),
    ],
)
async def test_where_a_copy_began_is_told_by_the_collector(set_, tmp_path, told, words, is_recovered):
    log = tmp_path / "web.err.log"
    log.write_text("of the copy before\n")
    before = log.stat().st_size
    await set_.plumbing.prepare(3)
    log.write_text("of the copy before\nmine\n")
    if is_recovered:
        await set_.collector.close_pipes("4", 3)
        await set_.plumbing.recover(3, 2**22 + 1)
    place = told(log.stat().st_size, before)
    set_.collector.offsets = {"err": [str(log), *place]}
    if words is None:  # rotated since, or an older collector whose pipes an earlier manager made
        words = ["mine"] if len(place) == 1 and not is_recovered else ["of the copy before", "mine"]
    assert list(await set_.plumbing.finish(3)) == words


@pytest.mark.parametrize("told", [lambda size: [size, 0], lambda size: [size]])
async def test_a_rotation_since_the_beginning_does_not_hide_what_it_said(set_, tmp_path, told):
    log = tmp_path / "web.err.log"
    log.write_text("of the copy before\n")
    await set_.plumbing.prepare(3)
    log.rename(tmp_path / "web.err.log.1")
    with (tmp_path / "web.err.log.1").open("a") as file:
        file.write("before it was rotated\n")
    log.write_text("after it\n")
    set_.collector.offsets = {"err": [str(log), *told(log.stat().st_size)]}
    assert (await set_.plumbing.finish(3))[-2:] == ("before it was rotated", "after it")


async def test_a_copy_that_said_nothing_has_no_last_words(set_, tmp_path):
    log = tmp_path / "web.err.log"
    log.write_text("of the copy before\n")
    await set_.plumbing.prepare(3)
    set_.collector.offsets = {"err": [str(log), log.stat().st_size]}
    assert await set_.plumbing.finish(3) == ()


async def test_a_log_that_cannot_be_read_costs_the_words_only(set_, tmp_path):
    await set_.plumbing.prepare(3)
    (tmp_path / "web.err.log").mkdir()
    set_.collector.offsets = {"err": [str(tmp_path / "web.err.log"), 5]}
    assert await set_.plumbing.finish(3) == ()


@pytest.mark.parametrize(
    "fault",
    [
        "no space for a pipe",
        "the keeper is gone",
        "the collector refuses",
    ],
)
async def test_what_cannot_be_prepared_is_told_as_a_want_of_resources(set_, monkeypatch, fault):
    """So that it is tried again, and a lost link or a full disk never ends as FATAL."""
    if fault == "no space for a pipe":

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "mkfifo", full)
    elif fault == "the keeper is gone":
        set_.keeper.error = errors.LinkError("the keeper went away")
    else:
        set_.collector.error = errors.LinkError("no")
    with pytest.raises(errors.ResourcesExhausted, match="output has nowhere to go"):
        await set_.plumbing.prepare(3)
    await set_.plumbing.finish(3)


@pytest.mark.parametrize("at", ["prepare", "start"])
@pytest.mark.parametrize("is_worker", [False, True])
async def test_a_start_that_failed_leaves_nothing_with_the_keeper(set_, monkeypatch, at, is_worker):
    set_.app = msgspec.structs.replace(
        set_.app, stdin="pipe", readiness=ReadinessSpec(notify=True), bind=("127.0.0.1:0",) if is_worker else ()
    )

    async def seat():
        settings = Settings(("/bin/x",), (), 1, kind="program")
        return Seat(Recipe(settings, settings.app, settings.kind), 0, 1, {}, (), None)

    monkeypatch.setattr(set_.plumbing, "_wants", set_.plumbing._wants._replace(seat=seat))
    monkeypatch.setattr(plumbing, "make_pipe", lambda *_: os.open(os.devnull, os.O_RDWR))
    if at == "prepare":
        set_.collector.error = errors.LinkError("no")
    for generation in (3, 4):
        with pytest.raises(errors.SpawnError) if at == "prepare" else nullcontext():
            await set_.plumbing.prepare(generation)
        assert len(set_.keeper.kept) == (5 if is_worker else 4)
        await set_.plumbing.finish(generation)
        assert set_.keeper.kept == {}


async def test_an_unknown_user_is_told_as_such(set_, monkeypatch):
    def unknown():
        raise errors.UserUnknown("nobody at all")

    monkeypatch.setattr(set_.plumbing, "_wants", set_.plumbing._wants._replace(make_spec=unknown))
    with pytest.raises(errors.UserUnknown):
        await set_.plumbing.prepare(3)


async def test_the_next_manager_takes_the_pipes_back(set_):
    await set_.plumbing.prepare(3)
    await set_.collector.close_pipes("4", 3)
    await set_.plumbing.recover(3, 2**22 + 1)
    assert ("4", 3) in set_.collector.opened
    set_.keeper.drop(["log/4/3/out"])
    await set_.collector.close_pipes("4", 3)
    await set_.plumbing.recover(3, 2**22 + 1)  # half of them is as good as nothing
    assert set_.collector.opened == {}


async def test_pipes_are_found_where_the_process_has_them(set_, monkeypatch):
    read, write = os.pipe()
    places = {"/proc/77/fd/1": read, "/proc/77/fd/2": write}
    real_open, real_stat = os.open, os.stat
    monkeypatch.setattr(
        os, "stat", lambda path, **k: os.fstat(places[path]) if path in places else real_stat(path, **k)
    )
    monkeypatch.setattr(
        os,
        "open",
        lambda path, *a, **k: real_open(f"/proc/self/fd/{places[path]}" if path in places else path, *a, **k),
    )
    await set_.plumbing.recover(3, 77)
    monkeypatch.undo()
    pipes = set_.collector.opened["4", 3]
    os.write(pipes.err, b"x")
    assert os.read(read, 1) == b"x"
    assert os.get_blocking(pipes.out)
    assert set(set_.keeper.kept) == {"log/4/3/out", "log/4/3/err"}
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("what", ["gone", "no-pipe"])
async def test_a_process_without_our_pipes(set_, what, caplog):
    null = subprocess.DEVNULL
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=null, stderr=null) as process:  # noqa: ASYNC220
        await set_.plumbing.recover(3, process.pid if what == "no-pipe" else 2**22 + 1)
        process.stdin.close()
    assert set_.collector.opened == {}
    assert "is lost from here on" in caplog.text


def test_a_pipe_replaces_what_an_earlier_manager_left(tmp_path):
    path = str(tmp_path / "4.out")
    os.mkfifo(path)
    fd = make_pipe(path, None, None)
    assert os.listdir(tmp_path) == []
    assert os.fstat(fd).st_mode & 0o777 == 0o600
    os.close(fd)


@needs_root
def test_a_pipe_belongs_to_the_apps_user(tmp_path):
    fd = make_pipe(str(tmp_path / "4.out"), 12345, 54321)
    assert (os.fstat(fd).st_uid, os.fstat(fd).st_gid) == (12345, 54321)
    os.close(fd)


def test_lines_are_limited():
    assert (module.LINES, module.LINE_LENGTH) == (10, 500)
